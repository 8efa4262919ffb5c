"""Executing a run: what a worker leaves behind when it succeeds, is stopped, or fails."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from dependency_injector import providers

from domain.errors import HextuneError, Place, problem
from domain.events import EventKind
from domain.job import Job, JobStatus
from ports.trainer import Emit, TrainOutcome, TrainRequest
from tests.fakes.container import SPEC
from tests.fakes.models import (
    CPU,
    FakeEncoder,
    FakeHardwareProbe,
    FakeModelBackend,
    FakeRowReader,
)
from tests.fakes.training import FakeTrainer
from tests.services.world import World


def execute(
    world: World, job: Job, stop_asked: Callable[[], bool] = lambda: False, resume: bool = False
) -> Job:
    ended: Job = world.container.execute_run()(job.id, resume=resume, stop_asked=stop_asked)
    return ended


def document(world: World, job: Job, name: str) -> Any:
    return json.loads(world.jobs.read_text(job, name))


class Breaking(FakeTrainer):
    """A trainer that breaks after its first step."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def train(self, request: TrainRequest, emit: Emit) -> TrainOutcome:
        emit(EventKind.STEP, {"step": 1})
        raise self.error


class Remembering(FakeTrainer):
    """A trainer that keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[TrainRequest] = []

    def train(self, request: TrainRequest, emit: Emit) -> TrainOutcome:
        self.asked.append(request)
        return super().train(request, emit)


def test_a_run_succeeds_with_results_manifest_and_report() -> None:
    world = World()
    job = world.queued()
    ended = execute(world, job)
    assert (ended.status, ended.problem) == (JobStatus.SUCCEEDED, None)
    assert ended.started_at == world.surroundings.now()
    assert ended.ended_at is not None
    assert world.kinds(job) == ["created", *["phase"] * 3, *["step"] * 3, "phase", "succeeded"]
    results = document(world, job, "results.json")
    assert results == {"last_loss": 2.0 / 3, "adapter": True}
    assert list(world.jobs.events(job))[-1].data == results
    assert world.container.reports().written == [job.id]


def test_the_manifest_says_what_one_needs_to_repeat_the_run() -> None:
    world = World()
    job = world.queued()
    execute(world, job)
    manifest, plan = document(world, job, "manifest.json"), document(world, job, "plan.json")
    assert manifest["run"] == job.id
    assert manifest["spec_hash"] == job.spec_hash == plan["spec_hash"]
    assert manifest["seed"] == 42
    assert manifest["versions"] == {"python": "3.11.7", "torch": "2.13.0"}
    assert manifest["data"]["fingerprint"] == plan["data"]["fingerprint"]
    assert (manifest["hardware"]["name"], manifest["model"]["name"]) == ("fake CPU", "fake")
    assert manifest["working_folder"] == "/work"


def test_the_trainer_gets_the_recorded_spec_the_plan_and_the_rows() -> None:
    world, trainer = World(), Remembering()
    world.put(trainer=trainer)
    job = world.queued()
    execute(world, job, resume=True)
    asked = trainer.asked[0]
    assert asked.spec.hash == job.spec_hash
    assert asked.plan.steps.total_steps == job.total_steps
    assert len(asked.data.train) == 8
    assert (asked.folder, asked.resume) == (job.folder, True)


def test_a_run_that_is_asked_to_stop_ends_stopped_with_its_step() -> None:
    world = World()
    job = world.queued()
    asked = iter([False, False, True])
    ended = execute(world, job, lambda: next(asked))
    assert ended.status is JobStatus.STOPPED
    last = list(world.jobs.events(job))[-1]
    assert (last.kind, last.data) == (EventKind.STOPPED, {"step": 2})
    assert world.jobs.read_text(job, "results.json") is None
    assert world.container.reports().written == []


def test_warnings_of_the_plan_are_told_before_the_training() -> None:
    world = World()
    world.put(hardware=FakeHardwareProbe(replace(CPU, free_bytes=1024**2)))
    job = world.queued()
    execute(world, job)
    assert world.kinds(job)[:3] == ["created", "phase", "warning"]
    warning = list(world.jobs.events(job))[2]
    assert warning.data["code"] == "rule-tight-memory"


def test_a_stopped_run_goes_on_and_keeps_when_it_first_started() -> None:
    world = World()
    job = world.queued()
    stopped = execute(world, job, lambda: True)
    world.surroundings.time += 100
    world.container.resume_run()(job.id)
    ended = execute(world, job, resume=True)
    assert (ended.status, ended.started_at) == (JobStatus.SUCCEEDED, stopped.started_at)
    assert world.kinds(job).count("stopped") == world.kinds(job).count("succeeded") == 1


def test_a_failure_is_recorded_with_all_its_problems_and_not_raised() -> None:
    world = World()
    first = problem(
        "run-loss-not-finite", Place(field="optimizer"), loss="nan", step=1, rows="rows.jsonl:1"
    )
    world.put(trainer=Breaking(HextuneError([first, problem("rule-one-length")])))
    job = world.queued()
    ended = execute(world, job)
    assert ended.status is JobStatus.FAILED
    assert ended.problem == {**first.as_json(), "others": [problem("rule-one-length").message]}
    assert world.kinds(job)[-2:] == ["step", "failed"]
    assert world.jobs.read_text(job, "results.json") is None


def test_what_is_no_users_mistake_goes_up_to_the_worker() -> None:
    world = World()
    world.put(trainer=Breaking(ZeroDivisionError("a bug")))
    job = world.queued()
    with pytest.raises(ZeroDivisionError):
        execute(world, job)
    assert world.jobs.get(job.id).status is JobStatus.RUNNING


def test_rows_that_changed_since_the_plan_are_refused() -> None:
    world = World()
    job = world.queued()
    changed: Any = {"rows.jsonl": [{"instruction": "Other?", "output": "Other."}] * 8}
    world.put(rows=FakeRowReader(changed))
    ended = execute(world, job, resume=True)
    assert (ended.problem or {})["code"] == "run-data-changed"
    assert "step" not in world.kinds(job)


def test_a_chat_template_that_changed_since_the_plan_is_refused() -> None:
    class Changed(FakeModelBackend):
        def encoder(self, handle: Any) -> FakeEncoder:
            encoder = FakeEncoder()
            encoder.template_fingerprint = "another"
            return encoder

    world = World()
    job = world.queued()
    world.put(models=Changed())
    assert (execute(world, job).problem or {})["code"] == "run-data-changed"


def test_a_model_that_went_missing_is_recorded() -> None:
    world = World()
    job = world.queued()

    class Gone(FakeModelBackend):
        def inspect(self, model: Any) -> Any:
            raise HextuneError([problem("model-missing", name=model.name)])

    world.put(models=Gone())
    assert (execute(world, job).problem or {})["code"] == "model-missing"


@pytest.mark.parametrize(("resume", "status"), [(False, "failed"), (True, "succeeded")])
def test_a_disk_that_filled_up_stops_a_new_run_before_it_trains(resume: bool, status: str) -> None:
    world = World()
    job = world.queued()
    world.jobs.free_bytes = 1024
    ended = execute(world, job, resume=resume)
    assert ended.status.value == status
    assert ("step" in world.kinds(job)) is resume


def test_quantized_weights_are_packed_as_the_spec_says() -> None:
    class Packing:
        def check(self, options: Any, model: Any, hardware: Any) -> None: ...

        def bytes_per_weight(self, options: Any, model: Any) -> float:
            return 0.5

        def loading(self, options: Any, precision: Any) -> object:
            return ("packed", options["bits"], precision.compute)

    class Loading(FakeModelBackend):
        packing: object = None

        def load(self, model: Any, precision: Any, quantization: object | None) -> Any:
            self.packing = quantization
            return super().load(model, precision, quantization)

    world, models = World(), Loading()
    world.put(models=models)
    world.container.quantizer.override(providers.Factory(lambda name: Packing()))
    world.put(launcher=world.launcher)
    world.start(SPEC + "quantization: {bits: 8}\nprecision: {mode: mixed}\n")
    assert models.packing == ("packed", 8, "bfloat16")
