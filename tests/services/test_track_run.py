"""Tracking a run: each step once, whatever dies, and no tracker can stop a run."""

from collections.abc import Mapping

import pytest
from dependency_injector import providers

from domain.events import EventKind
from domain.fingerprint import Json
from domain.job import JobStatus
from entrypoints.services.track_run import TrackRun
from ports.tracker import TrackedRun
from tests.fakes.container import SPEC
from tests.fakes.training import step_data
from tests.services.world import World, spec_text

TRACKED = SPEC + "tracking: {trackers: [{name: jsonl}, {name: tensorboard}]}\n"


class ListTracker:
    """Implements ports.tracker.Tracker; fails at the step it is told."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.fails_at = fails_at
        self.steps: list[int] = []
        self.closed: list[bool] = []

    def record(self, step: int, figures: Mapping[str, float]) -> None:
        if step == self.fails_at:
            raise ConnectionError("the server is gone")
        assert figures["train/loss"] == 2.0 / step
        self.steps.append(step)

    def close(self, *, succeeded: bool) -> None:
        self.closed.append(succeeded)


class Trackers:
    """Opens trackers that are at hand, by name."""

    def __init__(self, **known: ListTracker) -> None:
        self.known = known
        self.runs: list[TrackedRun] = []

    def __call__(self, part: Mapping[str, Json], run: TrackedRun) -> ListTracker:
        self.runs.append(run)
        return self.known[str(part["name"])]


def test_every_tracker_gets_every_step_and_the_end() -> None:
    world, opened = World(), Trackers(jsonl=ListTracker(), tensorboard=ListTracker())
    world.container.open_tracker.override(providers.Callable(opened))
    job = world.start(TRACKED)
    for tracker in opened.known.values():
        assert (tracker.steps, tracker.closed) == ([1, 2, 3], [True])
    assert {run.id for run in opened.runs} == {job.id}
    assert opened.runs[0].spec["seed"] == 42
    assert not opened.runs[0].resumed


@pytest.mark.parametrize("fails_at", [2, None])
def test_a_tracker_that_fails_is_left_out_with_a_warning(fails_at: int | None) -> None:
    """At a step, or already when it is opened."""
    broken = {"tensorboard": ListTracker(fails_at)} if fails_at else {}
    world, opened = World(), Trackers(jsonl=ListTracker(), **broken)
    world.container.open_tracker.override(providers.Callable(opened))
    job = world.start(TRACKED)
    assert world.jobs.get(job.id).status is JobStatus.SUCCEEDED
    assert opened.known["jsonl"].steps == [1, 2, 3]
    (warning,) = [e.data for e in world.jobs.events(job) if e.kind is EventKind.WARNING]
    assert (warning["code"], warning["facts"]["name"]) == ("tracker-failed", "tensorboard")
    if fails_at:
        assert (broken["tensorboard"].steps, broken["tensorboard"].closed) == ([1], [])


def test_steps_that_are_trained_again_are_tracked_once() -> None:
    world, opened = World(working=False), Trackers(jsonl=ListTracker())
    text = SPEC + "tracking: {trackers: [{name: jsonl}]}\n"
    job, spec = world.start(text), world.container.spec_reader().read(spec_text(text)).spec
    for first, last in ((1, 4), (3, 6)):
        track = TrackRun(world.jobs, opened)
        with track(job, spec, lambda kind, data: world.jobs.append(job, kind, data)) as emit:
            for step in range(first, last + 1):
                emit(EventKind.STEP, step_data(step, 6))
    assert opened.known["jsonl"].steps == [1, 2, 3, 4, 5, 6]
    assert [run.resumed for run in opened.runs] == [False, True]


def test_a_run_that_fails_is_closed_as_failed() -> None:
    world, opened = World(working=False), Trackers(jsonl=ListTracker())
    text = SPEC + "tracking: {trackers: [{name: jsonl}]}\n"
    job, spec = world.start(text), world.container.spec_reader().read(spec_text(text)).spec
    with (
        pytest.raises(RuntimeError, match="no more"),
        TrackRun(world.jobs, opened)(job, spec, lambda kind, data: None),
    ):
        raise RuntimeError("no more")
    assert opened.known["jsonl"].closed == [False]
