"""A stage for tests of the monitor: runs in every state, a clock that stands still, an app that
remembers what it said."""

import threading
from collections.abc import Callable
from typing import Any

from dependency_injector import providers
from textual.pilot import Pilot
from textual.widgets import Static

from domain.events import EventKind
from domain.job import Job, JobStatus
from entrypoints.container import Container
from entrypoints.tui.app import MonitorApp
from ports.spec_reader import SpecText
from tests.fakes.container import SPEC, fake_container
from tests.fakes.processes import FakeSurroundings
from tests.fakes.training import step_data

LANGUAGES = ["en", "ru", "zh"]
WIDE, NARROW = (140, 40), (80, 24)


class FrozenSurroundings(FakeSurroundings):
    """A clock that stands still; waiting takes a moment, so that a watcher does not spin."""

    def sleep(self, seconds: float) -> None:
        threading.Event().wait(0.01)


class HeardApp(MonitorApp):
    """The monitor, which remembers what it said: (title, message)."""

    def __init__(self, container: Container, language: str, run: str | None = None) -> None:
        super().__init__(container, language, run)
        self.said: list[tuple[str, str]] = []

    def notify(self, message: str, *, title: str = "", **options: Any) -> None:
        self.said.append((title, message))
        super().notify(message, title=title, **options)


def frozen_container() -> Container:
    container = fake_container()
    container.surroundings.override(providers.Object(FrozenSurroundings()))
    return container


def start(container: Container, name: str, steps: int = 3) -> Job:
    """A run that has succeeded; the next one is ten minutes younger."""
    text = SPEC.replace("3}", f"{steps}}}") + f"name: {name}\n"
    container.surroundings().time += 600
    job: Job = container.start_run()(SpecText(text=text, format="yaml", source="run.yaml"))
    return job


def start_running(container: Container, name: str, steps: int = 400) -> Job:
    """A run that a worker is at, in its first step."""
    job = start(container, name, steps)
    store = container.jobs()
    del store.log[job.id][4:]
    running = store.jobs[job.id].moved(JobStatus.RUNNING, ended_at=None)
    store.jobs[job.id] = running
    del store.files[job.id, "results.json"]
    moved: Job = running
    return moved


def train(container: Container, job: Job, first: int, last: int) -> None:
    """What a worker would record."""
    for step in range(first, last + 1):
        container.jobs().append(job, EventKind.STEP, step_data(step, job.total_steps))


async def until(pilot: Pilot[None], fact: Callable[[], bool]) -> None:
    """Wait for what threads bring about, five seconds at most."""
    for _ in range(100):
        await pilot.pause(0.05)
        if fact():
            return
    raise AssertionError("it did not happen")


async def opened(pilot: Pilot[None], job: Job) -> HeardApp:
    """The app, once it watches `job` and has taken in its events."""
    app = pilot.app
    assert isinstance(app, HeardApp)
    events = len(app.container.jobs().log[job.id])
    await until(pilot, lambda: selected(app) == job.id and app.monitor.record.seq == events)
    return app


def selected(app: HeardApp) -> str | None:
    row = app.monitor.runs.selected
    return row.job.id if row else None


def text_of(app: HeardApp, selector: str) -> str:
    return str(app.screen.query_one(selector, Static).content)
