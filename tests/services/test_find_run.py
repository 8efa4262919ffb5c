"""Finding, stopping, resuming and watching runs: their state is true, or an error says which."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.jobs_files import FileJobStore
from domain.events import EventKind
from domain.job import Job, JobStatus
from entrypoints.services.find_run import START_GRACE_S
from tests.fakes.processes import FakeLauncher
from tests.services.world import World, codes, problems


def ended(world: World, kind: EventKind) -> Job:
    job: Job = world.jobs.end(world.running(), kind, {})
    return job


# -- finding ----------------------------------------------------------------------------------


def test_a_run_whose_worker_died_is_recorded_as_failed_once() -> None:
    world = World(working=False)
    job = world.running()
    world.container.launcher().dead.add(7)
    find = world.container.find_run()
    first, again = find(job.id), find("last")
    assert first == again
    assert first.status is JobStatus.FAILED
    assert (first.problem or {})["code"] == "run-lost"
    assert world.kinds(job) == ["created", "failed"]
    assert [found.status for found in find.all()] == [JobStatus.FAILED]


@pytest.mark.parametrize("kind", [EventKind.SUCCEEDED, EventKind.STOPPED, EventKind.FAILED])
def test_a_run_that_ended_stays_so_when_its_worker_is_gone(kind: EventKind) -> None:
    world = World(working=False)
    job = ended(world, kind)
    world.container.launcher().dead.add(7)
    assert world.container.find_run()(job.id).status is job.status
    assert world.kinds(job).count("failed") == (kind is EventKind.FAILED)


def test_a_run_without_a_worker_or_with_a_living_one_is_left_alone() -> None:
    world = World(working=False)
    running = world.running()
    assert world.container.find_run()(running.id).status is JobStatus.RUNNING
    world.jobs.jobs[running.id] = running.moved(JobStatus.QUEUED, worker=None)
    assert world.container.find_run()(running.id).status is JobStatus.QUEUED


def test_a_run_that_nobody_gave_a_worker_is_lost_after_a_minute() -> None:
    world = World(working=False)
    running = world.running()
    world.jobs.jobs[running.id] = running.moved(JobStatus.QUEUED, worker=None)
    world.surroundings.time += 61
    found = world.container.find_run()(running.id)
    assert (found.status, (found.problem or {})["code"]) == (JobStatus.FAILED, "run-lost")
    resumed = world.container.resume_run()(running.id)
    assert resumed.worker is not None
    assert world.container.find_run()(running.id).status is JobStatus.QUEUED


def test_a_run_no_worker_was_given_to_for_long_is_lost() -> None:
    world = World(working=False)
    job = world.queued()
    world.jobs.jobs[job.id] = job.moved(JobStatus.QUEUED, worker=None)
    find = world.container.find_run()
    world.surroundings.time += START_GRACE_S - 1
    assert find(job.id).status is JobStatus.QUEUED
    world.surroundings.time += 1
    assert (find(job.id).problem or {})["code"] == "run-lost"
    resumed = world.container.resume_run()(job.id)
    assert find(job.id).status is resumed.status is JobStatus.QUEUED


def test_a_run_that_is_not_there_is_told() -> None:
    assert codes(World().container.find_run(), "nope") == ["run-missing"]


def test_only_a_run_that_succeeded_has_a_result() -> None:
    world = World()
    done = world.start()
    assert world.container.find_run().finished(done.id).status is JobStatus.SUCCEEDED
    running = world.running()
    found = problems(world.container.find_run().finished, running.id)
    assert [(item.code, item.facts["status"]) for item in found] == [("run-no-result", "running")]


# -- stopping ---------------------------------------------------------------------------------


@pytest.mark.parametrize("now", [False, True])
def test_stopping_asks_the_runs_own_worker(now: bool) -> None:
    world = World(working=False)
    job = world.running()
    assert world.container.stop_run()(job.id, now=now) == world.jobs.get(job.id)
    assert world.container.launcher().stopped == [(7, now)]


@pytest.mark.parametrize("kind", [EventKind.SUCCEEDED, EventKind.STOPPED, EventKind.FAILED])
def test_a_run_that_ended_cannot_be_stopped(kind: EventKind) -> None:
    world = World(working=False)
    found = problems(world.container.stop_run(), ended(world, kind).id)
    assert [(item.code, item.facts["status"]) for item in found] == [
        ("run-not-running", kind.value)
    ]
    assert world.container.launcher().stopped == []


def test_a_run_whose_worker_just_died_cannot_be_stopped_and_is_failed() -> None:
    world = World(working=False)
    job = world.running()
    world.container.launcher().dead.add(7)
    found = problems(world.container.stop_run(), job.id)
    assert [(item.code, item.facts["status"]) for item in found] == [("run-not-running", "failed")]


def test_a_run_no_worker_has_taken_cannot_be_stopped() -> None:
    world = World(working=False)
    job = world.running()
    world.jobs.jobs[job.id] = job.moved(JobStatus.QUEUED, worker=None)
    assert codes(world.container.stop_run(), job.id) == ["run-not-running"]


# -- resuming ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [EventKind.STOPPED, EventKind.FAILED])
def test_a_stopped_or_failed_run_goes_back_to_a_worker(kind: EventKind) -> None:
    world = World(working=False)
    job = ended(world, kind)
    resumed = world.container.resume_run()(job.id)
    assert (resumed.status, resumed.ended_at, resumed.problem) == (JobStatus.QUEUED, None, None)
    assert world.container.launcher().started[-1] == (job.id, True)
    assert resumed.worker != job.worker
    assert world.jobs.get(job.id).status is JobStatus.QUEUED


def test_a_lost_run_can_be_resumed() -> None:
    world = World(working=False)
    job = world.running()
    world.container.launcher().dead.add(7)
    assert world.container.resume_run()(job.id).status is JobStatus.QUEUED


def test_a_run_that_is_being_resumed_is_not_taken_for_lost(tmp_path: Path) -> None:
    world = World(working=False)
    world.put(jobs=FileJobStore(str(tmp_path)))
    job = world.start()
    world.container.launcher().dead.add(1)
    assert world.container.find_run()(job.id).status is JobStatus.FAILED
    seen: list[JobStatus] = []

    def look(job: Job, resume: bool) -> None:
        seen.append(world.container.find_run()(job.id).status)

    launcher = FakeLauncher(look)
    launcher.dead.add(1)
    world.put(launcher=launcher)
    world.container.resume_run()(job.id)
    assert seen == [JobStatus.QUEUED]


def test_a_running_or_finished_run_cannot_be_resumed() -> None:
    world = World(working=False)
    for job in (world.running(), ended(world, EventKind.SUCCEEDED)):
        found = problems(world.container.resume_run(), job.id)
        status = world.jobs.get(job.id).status.value
        assert [(item.code, item.facts["status"]) for item in found] == [
            ("run-not-resumable", status)
        ]
    assert not any(resume for _, resume in world.container.launcher().started)


# -- watching ---------------------------------------------------------------------------------


def watch(world: World, job: Job, after_seq: int = 0) -> Iterator[tuple[int, str]]:
    for event in world.container.watch_run()(job.id, after_seq):
        yield event.seq, event.kind.value


def test_watching_a_finished_run_gives_all_its_events_and_ends() -> None:
    world = World()
    job = world.start()
    seen = list(watch(world, job))
    assert [seq for seq, _ in seen] == list(range(1, len(seen) + 1))
    assert (seen[0][1], seen[-1][1]) == ("created", "succeeded")
    assert world.surroundings.now() == 1_700_000_000.0


def test_watching_goes_on_after_the_last_event_received() -> None:
    world = World()
    job = world.start()
    everything = list(watch(world, job))
    assert list(watch(world, job, after_seq=4)) == everything[4:]
    assert list(watch(world, job, after_seq=len(everything))) == []


def test_watching_waits_for_events_and_ends_with_the_run() -> None:
    world = World(working=False)
    job = world.running()
    events = watch(world, job)
    assert next(events) == (1, "created")
    world.jobs.append(job, EventKind.STEP, {"step": 1})
    assert next(events) == (2, "step")
    world.jobs.end(job, EventKind.STOPPED, {"step": 1})
    assert list(events) == [(3, "stopped")]
    assert world.surroundings.now() > 1_700_000_000.0


def test_watching_a_run_whose_worker_dies_ends_with_its_failure() -> None:
    world = World(working=False)
    job = world.running()
    events = watch(world, job)
    next(events)
    world.container.launcher().dead.add(7)
    assert [kind for _, kind in events] == ["failed"]


def test_watching_ends_when_the_watcher_is_gone() -> None:
    world = World(working=False)
    job = world.running()
    asked = iter([False, False, True])
    seen = list(world.container.watch_run()(job.id, gone=lambda: next(asked)))
    assert [event.seq for event in seen] == [1]


def test_watching_a_run_that_is_not_there_is_refused() -> None:
    assert codes(list, World().container.watch_run()("nope")) == ["run-missing"]
