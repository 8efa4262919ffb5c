"""Starting a run: recorded whole, handed to one worker, and safe to ask for twice."""

import json
from typing import Any

import pytest

from domain.checkpoint import disk_bytes
from domain.job import JobStatus
from entrypoints.services.record_job import run_id
from entrypoints.services.start_run import shown_disk
from tests.fakes.container import SPEC
from tests.fakes.jobs import FakeJobStore
from tests.services.world import World, codes, spec_text


def test_a_started_run_is_recorded_with_spec_plan_and_first_event() -> None:
    world = World(working=False)
    job = world.start()
    assert (job.status, job.worker is not None) == (JobStatus.QUEUED, True)
    assert (job.name, job.total_steps, job.working_folder) == ("run", 3, "/work")
    files = {name for _, name in world.jobs.files}
    assert files == {"spec.json", "spec.source.yaml", "overrides.json", "plan.json"}
    event = next(iter(world.jobs.events(job)))
    assert (event.kind.value, event.data) == (
        "created",
        {"spec_hash": job.spec_hash, "total_steps": 3},
    )
    assert world.launcher.started == [(job.id, False)]


def test_the_recorded_spec_is_complete_and_the_source_is_as_written() -> None:
    world = World(working=False)
    job = world.container.start_run()(spec_text(SPEC, "seed=7"))
    assert world.jobs.read_text(job, "spec.source.yaml") == SPEC
    assert json.loads(world.jobs.read_text(job, "overrides.json")) == ["seed=7"]
    recorded = json.loads(world.jobs.read_text(job, "spec.json"))
    assert (recorded["seed"], recorded["method"]["rank"]) == (7, 8)
    assert json.loads(world.jobs.read_text(job, "plan.json"))["spec_hash"] == job.spec_hash


def test_two_runs_of_one_spec_are_two_runs() -> None:
    world = World(working=False)
    assert world.start().id != world.start().id
    assert len(world.launcher.started) == 2


def test_asking_twice_with_one_request_id_starts_one_run() -> None:
    world = World(working=False)
    first, again = world.start(request_id="r"), world.start(request_id="r")
    assert first == again
    assert len(world.launcher.started) == 1
    assert world.kinds(first) == ["created"]


def test_asking_again_starts_no_second_worker() -> None:
    world = World(working=False)
    first = world.start(request_id="r")
    world.jobs.jobs[first.id] = first.moved(JobStatus.QUEUED, worker=None)
    assert world.start(request_id="r").id == first.id
    assert world.launcher.started == [(first.id, False)]
    assert world.kinds(first) == ["created"]


def test_a_request_id_used_for_another_spec_is_refused() -> None:
    world = World(working=False)
    world.start(request_id="r")
    assert codes(world.start, SPEC + "seed: 7\n", "r") == ["run-request-differs"]
    assert len(world.launcher.started) == 1


def test_a_full_disk_is_refused_before_any_worker_starts() -> None:
    world = World(working=False)
    world.jobs.free_bytes = 1024
    assert codes(world.start) == ["output-disk-full"]
    assert (world.launcher.started, world.jobs.jobs) == ([], {})


def test_a_mistake_starts_and_records_nothing() -> None:
    world = World(working=False)
    assert codes(world.start, SPEC + "seed: x\n") == ["spec-bad-value"]
    assert (world.launcher.started, world.jobs.jobs) == ([], {})


def test_the_room_needed_is_checked_before_the_run_is_recorded() -> None:
    class Asked(FakeJobStore):
        needed = 0

        def check_writable(self, needed_bytes: int) -> None:
            assert not self.jobs
            self.needed = needed_bytes

    world = World(working=False)
    store = Asked()
    world.put(jobs=store)
    planned: Any = world.container.plan_run()(spec_text())
    world.start()
    assert store.needed == disk_bytes(planned.document.spec, planned.plan)


def test_room_grows_with_the_checkpoints_kept() -> None:
    world = World()

    def room(*overrides: str) -> int:
        planned: Any = world.container.plan_run()(spec_text(SPEC, *overrides))
        return disk_bytes(planned.document.spec, planned.plan)

    checkpoint = 1000 * 4 + 2 * 1000 * 4
    assert room() == 3 * checkpoint + 4000 + 32 * 1024**2
    assert room("output.keep_checkpoints=5") - room() == 3 * checkpoint
    planned: Any = world.container.plan_run()(spec_text())
    assert shown_disk(planned.document.spec, planned.plan) == "32.04 MiB"


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("demo", "demo"),
        ("My Run: no. 1", "my-run-no-1"),
        ("../../etc", "etc"),
        ("Небо", "run"),
        ("", "run"),
        ("-", "run"),
        ("x" * 100, "x" * 40),
    ],
)
def test_a_run_id_can_be_typed_and_is_a_plain_folder_name(name: str, slug: str) -> None:
    assert run_id(name, 1_700_000_000.0, "a1b2c3") == f"20231114-221320-{slug}-a1b2c3"


def test_run_ids_sort_by_time() -> None:
    assert run_id("b", 1_700_000_000.0, "f") < run_id("a", 1_700_000_001.0, "0")
