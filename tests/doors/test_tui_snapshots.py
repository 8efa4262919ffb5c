"""Pictures of the monitor, per language and size; `pytest --snapshot-update` accepts new ones."""

import math
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from textual.pilot import Pilot

from domain.errors import problem
from domain.events import EventKind
from domain.job import Job, JobStatus
from entrypoints.container import Container
from tests.doors.tui_stage import (
    LANGUAGES,
    NARROW,
    WIDE,
    HeardApp,
    frozen_container,
    opened,
    start,
    start_running,
)
from tests.fakes.training import step_data

Compare = Callable[..., bool]
STEPS = 600


def stage() -> tuple[Container, Job]:
    """Four runs; the newest is at step 430 of 600, with a noisy loss and held-out readings."""
    container = frozen_container()
    start(container, "first-try")
    failed = start(container, "out-of-memory")
    stopped = start(container, "stopped-early")
    store = container.jobs()
    why = problem(
        "run-out-of-memory",
        planned="5.1 GiB",
        components="weights 5.1 GiB",
        remedies="batching.per_device=2",
    )
    for job, status, reason in (
        (failed, JobStatus.FAILED, why.as_json()),
        (stopped, JobStatus.STOPPED, None),
    ):
        store.jobs[job.id] = store.jobs[job.id].moved(status, problem=reason)
    job = start_running(container, "support-answers", STEPS)
    dice = random.Random(11)
    for step in range(1, 431):
        loss = 0.9 + 2.2 * math.exp(-step / 70)
        rate, left = 2e-4 * (1 - step / STEPS), 4.1 * (STEPS - step)
        data = {**step_data(step, STEPS), "loss": loss + dice.gauss(0, 0.06), "eta_s": left}
        store.append(job, EventKind.STEP, {**data, "learning_rate": rate, "tokens_per_s": 3921.7})
        if step % 50 == 0:
            store.append(
                job,
                EventKind.EVALUATION,
                {"step": step, "loss": loss + 0.1, "perplexity": math.exp(loss + 0.1)},
            )
            store.append(job, EventKind.CHECKPOINT, {"step": step, "path": "there"})
    for name, known in store.jobs.items():
        # Spec hashes change with every new key of a spec; pictures need not.
        store.jobs[name] = replace(known, spec_hash="5eed" * 16)
    container.surroundings().time += 61
    return container, job


def after(job: Job, *keys: str) -> Callable[[Pilot[None]], Awaitable[None]]:
    """Wait until `job` is on the screen, then press keys."""

    async def act(pilot: Pilot[None]) -> None:
        await opened(pilot, job)
        await pilot.press(*keys)
        await pilot.pause(0.2)

    return act


@pytest.mark.parametrize("language", LANGUAGES)
def test_list_and_run_side_by_side(snap_compare: Compare, language: str) -> None:
    container, job = stage()
    app = HeardApp(container, language)
    assert snap_compare(app, terminal_size=WIDE, run_before=after(job))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_run_on_a_small_screen(snap_compare: Compare, language: str) -> None:
    container, job = stage()
    app = HeardApp(container, language)
    assert snap_compare(app, terminal_size=NARROW, run_before=after(job, "enter"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_list_on_a_small_screen(snap_compare: Compare, language: str) -> None:
    container, job = stage()
    app = HeardApp(container, language)
    assert snap_compare(app, terminal_size=NARROW, run_before=after(job))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_question_before_a_stop(snap_compare: Compare, language: str) -> None:
    container, job = stage()
    app = HeardApp(container, language)
    assert snap_compare(app, terminal_size=NARROW, run_before=after(job, "x"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_help(snap_compare: Compare, language: str) -> None:
    container, job = stage()
    app = HeardApp(container, language)
    assert snap_compare(app, terminal_size=NARROW, run_before=after(job, "question_mark"))


def test_a_failed_run_alone_on_a_log_scale(snap_compare: Compare) -> None:
    container, job = stage()
    app = HeardApp(container, "en")
    keys = ("down", "down", "enter", "y")
    assert snap_compare(app, terminal_size=WIDE, run_before=after(job, *keys))
