"""`/v1/fine_tuning/jobs` over runs that fakes play, driven by the official client."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from dependency_injector import providers
from openai import OpenAI
from openai.types import FileObject, Model, ModelDeleted
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint

from domain.events import EventKind
from domain.job import JobStatus, WorkerId
from entrypoints.container import Container
from tests.doors.http_server import body, client, echo_engine, serving
from tests.doors.openai_spec import faults
from tests.doors.tuning_server import chat_row, error_in, lines, pair_row, tuning_container
from tests.fakes.processes import FakeLauncher

JOBS = "/v1/fine_tuning/jobs"


class Tuning:
    """A server with its container, and files to train on."""

    def __init__(self, container: Container, address: str) -> None:
        self.container = container
        self.address = address
        self.api: OpenAI = client(address)
        self.rows = self.send(lines([chat_row()] * 4))
        self.pairs = self.send(lines([pair_row()] * 4))

    def send(self, content: bytes) -> str:
        return self.api.files.create(file=("rows.jsonl", content), purpose="fine-tune").id

    def start(self, **fields: Any) -> FineTuningJob:
        given = {"model": "fake", "training_file": self.rows, **fields}
        return self.api.fine_tuning.jobs.create(**given)

    def refused(self, **fields: Any) -> dict[str, Any]:
        given = {"model": "fake", "training_file": self.rows, **fields}
        reply = httpx.post(self.address + JOBS, json=given)
        assert reply.status_code in (400, 404), reply.text
        return error_in(reply)

    def spec(self, job: FineTuningJob) -> dict[str, Any]:
        jobs = self.container.jobs()
        found: dict[str, Any] = json.loads(jobs.read_text(jobs.get(job.id), "spec.json"))
        return found


@pytest.fixture(scope="module")
def tuning(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tuning]:
    container = tuning_container(tmp_path_factory.mktemp("runs"))
    with serving(echo_engine(), container=container) as address:
        yield Tuning(container, address)


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[Tuning]:
    """A server whose workers never do anything."""
    container = tuning_container(tmp_path)
    container.launcher.override(providers.Object(FakeLauncher()))
    with serving(echo_engine(), container=container) as address:
        yield Tuning(container, address)


def strict(kind: Any, value: Any) -> None:
    kind.model_validate(value.to_dict(mode="json"))


def test_a_job_is_an_ordinary_run_that_answers_at_once(tuning: Tuning) -> None:
    job = tuning.start(suffix="my-model", seed=7, metadata={"team": "a"})
    strict(FineTuningJob, job)
    assert (job.status, job.seed, job.training_file) == ("succeeded", 7, tuning.rows)
    assert job.fine_tuned_model == f"ft:fake:hextune:my-model:{job.id}"
    assert job.metadata == {"team": "a"}
    assert tuning.container.find_run()(job.id).status is JobStatus.SUCCEEDED
    assert tuning.api.fine_tuning.jobs.retrieve(job.id) == job
    names = [model.id for model in tuning.api.models.list()]
    assert job.fine_tuned_model in names
    strict(Model, tuning.api.models.retrieve(job.fine_tuned_model))
    said = tuning.api.chat.completions.create(**body(model=job.fine_tuned_model))
    assert said.choices[0].message.content == "one two three"
    assert said.model == job.fine_tuned_model


def test_numbers_reach_the_spec_and_come_back(tuning: Tuning) -> None:
    numbers: Any = {"n_epochs": 2, "batch_size": 12, "learning_rate_multiplier": 0.5}
    supervised: Any = {"type": "supervised", "supervised": {"hyperparameters": numbers}}
    for fields in ({"hyperparameters": numbers}, {"method": supervised}):
        job = tuning.start(**fields)
        spec = tuning.spec(job)
        assert spec["schedule"]["epochs"] == 2
        assert spec["batching"]["per_device"] * spec["batching"]["accumulate"] == 12
        assert spec["optimizer"]["learning_rate"] == pytest.approx(1e-4)
        assert job.hyperparameters.to_dict() == numbers
        assert job.method is not None
        assert job.method.to_dict() == supervised


def test_rows_of_another_kind_than_the_methods_are_refused(tuning: Tuning) -> None:
    found = tuning.refused(training_file=tuning.pairs)
    assert (found["code"], found["param"]) == ("data-kind-unfit", "training_file")


def test_sections_of_a_spec_travel_beside(tuning: Tuning) -> None:
    extra = {"hextune": {"method": {"rank": 4}, "schedule": {"max_steps": 3}}}
    job = tuning.start(extra_body=extra)
    spec = tuning.spec(job)
    assert (spec["method"]["rank"], spec["schedule"]["max_steps"]) == (4, 3)
    before = len(tuning.container.jobs().all())
    plan = httpx.post(
        tuning.address + JOBS,
        json={
            "model": "fake",
            "training_file": tuning.rows,
            "hextune": {"dry_run": True, "method": {"rank": 4}},
        },
    ).json()
    assert plan["object"] == "hextune.plan"
    assert {"key": "method.rank", "value": 4} in [
        {"key": found["key"], "value": found["value"]} for found in plan["decisions"]
    ]
    assert len(tuning.container.jobs().all()) == before


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"hextune": {"method": {"rnak": 4}}}, "spec-unknown-key", "hextune.method.rnak"),
        ({"hextune": {"method": {"rank": 0}}}, "spec-bad-value", "hextune.method.rank"),
        ({"hextune": {"data": {"train": []}}}, "request-bad-field", "hextune.data.train"),
        ({"seed": 1, "hextune": {"seed": 2}}, "request-bad-field", "hextune.seed"),
        (
            {"hextune": {"model": {"trust_remote_code": True}}},
            "request-unsupported-field",
            "hextune.model.trust_remote_code",
        ),
        (
            {"hextune": {"model": {"template": "/etc/passwd"}}},
            "request-bad-field",
            "hextune.model.template",
        ),
        ({"hextune": {"dry_run": 1}}, "request-bad-field", "hextune.dry_run"),
        ({"colour": "red"}, "request-unsupported-field", "colour"),
        ({"model": "/models/other"}, "job-model-path", "model"),
        ({"model": "other"}, "model-missing", "model"),
        ({"model": "ft:fake:hextune::none"}, "model-not-served", "model"),
        ({"training_file": "file-" + "0" * 24}, "file-missing", "training_file"),
        ({"training_file": "../rows.jsonl"}, "request-bad-field", "training_file"),
        ({"suffix": "a:b"}, "request-bad-field", "suffix"),
        ({"hyperparameters": {"n_epochs": 0}}, "request-bad-field", "hyperparameters.n_epochs"),
        (
            {"hyperparameters": {"prompt_loss_weight": 1}},
            "request-unsupported-field",
            "hyperparameters.prompt_loss_weight",
        ),
        (
            {"method": {"type": "dpo"}, "hyperparameters": {"n_epochs": 1}},
            "request-bad-field",
            "hyperparameters",
        ),
        (
            {"method": {"type": "dpo", "supervised": {}}},
            "request-bad-field",
            "method.supervised",
        ),
        (
            {"method": {"type": "reinforcement", "reinforcement": {"grader": {"type": "python"}}}},
            "request-unsupported-field",
            "method.reinforcement.grader.type",
        ),
        ({"metadata": {"k": 1}}, "request-bad-field", "metadata.k"),
    ],
)
def test_mistakes_are_told_by_the_requests_own_fields(
    tuning: Tuning, fields: dict[str, Any], code: str, param: str
) -> None:
    found = tuning.refused(**fields)
    assert (found["code"], found["param"]) == (code, param)
    assert ".files" not in json.dumps(found)


def test_every_mistake_is_told_at_once(tuning: Tuning) -> None:
    found = tuning.refused(hextune={"method": {"rank": 0}, "sede": 1})
    assert {each["param"] for each in found["details"]} == {"hextune.method.rank", "hextune.sede"}


def test_a_file_of_another_purpose_is_refused(tuning: Tuning) -> None:
    other = tuning.api.files.create(file=("a.jsonl", lines([chat_row()])), purpose="batch")
    found = tuning.refused(training_file=other.id)
    assert (found["param"], "batch" in found["message"]) == ("training_file", True)


def test_asking_twice_with_one_key_starts_one_job(tuning: Tuning) -> None:
    key = {"Idempotency-Key": "once"}
    first = tuning.start(extra_headers=key)
    assert tuning.start(extra_headers=key).id == first.id
    with pytest.raises(openai.BadRequestError) as caught:
        tuning.start(seed=99, extra_headers=key)
    assert caught.value.code == "run-request-differs"


def test_jobs_come_in_pages_and_by_their_notes(tuning: Tuning) -> None:
    marked = [tuning.start(metadata={"set": "x", "n": str(n)}).id for n in range(3)]
    found = [job.id for job in tuning.api.fine_tuning.jobs.list(limit=2, metadata={"set": "x"})]
    assert found == marked[::-1]
    assert [
        job.id for job in tuning.api.fine_tuning.jobs.list(metadata={"set": "x", "n": "1"})
    ] == [marked[1]]
    plain = httpx.get(tuning.address + JOBS, params={"metadata": "null", "limit": 1000}).json()
    assert not {job["id"] for job in plain["data"]} & set(marked)
    reply = httpx.get(tuning.address + JOBS, params={"colour": "red"})
    assert (reply.status_code, error_in(reply)["param"]) == (400, "colour")


def test_a_run_of_another_door_is_a_job_too(tuning: Tuning, tmp_path: Path) -> None:
    from tests.services.world import spec_text

    rows = tmp_path / "own.jsonl"
    rows.write_bytes(lines([chat_row()]))
    text = f"model: {{name: fake}}\nname: by-hand\ndata: {{train: [{{path: {rows}}}]}}\n"
    run = tuning.container.start_run()(spec_text(text))
    job = tuning.api.fine_tuning.jobs.retrieve(run.id)
    strict(FineTuningJob, job)
    assert (job.training_file, job.model) == ("own.jsonl", "fake")
    assert job.fine_tuned_model == f"ft:fake:hextune:by-hand:{run.id}"


def test_events_are_told_newest_first_and_as_they_happen(tuning: Tuning) -> None:
    job = tuning.start(extra_body={"hextune": {"schedule": {"max_steps": 3}}})
    listed = list(tuning.api.fine_tuning.jobs.list_events(job.id, limit=2))
    for event in listed:
        strict(FineTuningJobEvent, event)
    times = [event.id for event in listed]
    assert len(times) == len(set(times))
    assert [event.type for event in listed].count("metrics") == 3
    assert listed[0].message == "The job has successfully completed"
    assert listed[-1].message == "Created fine-tuning job"
    streamed = streamed_ids(tuning, job.id)
    assert streamed == times[::-1]
    assert streamed_ids(tuning, job.id, {"Last-Event-ID": streamed[2]}) == streamed[3:]
    reply = httpx.get(f"{tuning.address}{JOBS}/{job.id}/events", params={"after": "ftevent-x-1"})
    assert (reply.status_code, error_in(reply)["param"]) == (400, "after")


def streamed_ids(tuning: Tuning, id: str, headers: dict[str, str] | None = None) -> list[str]:
    url = f"{tuning.address}{JOBS}/{id}/events"
    text = httpx.get(url, params={"stream": "true"}, headers=headers).text
    assert text.endswith("data: [DONE]\n\n")
    return [line[4:] for line in text.splitlines() if line.startswith("id: ")]


def test_a_finished_job_leaves_a_table_of_figures(tuning: Tuning) -> None:
    job = tuning.start(extra_body={"hextune": {"schedule": {"max_steps": 2}}})
    (id,) = job.result_files
    file = tuning.api.files.retrieve(id)
    strict(FileObject, file)
    assert file.purpose == "fine-tune-results"
    table = tuning.api.files.content(id).text.splitlines()
    assert table[0].startswith("step,train_loss,valid_loss")
    assert [row.split(",")[:2] for row in table[1:]] == [["1", "2.0"], ["2", "1.0"]]
    tuning.api.files.delete(id)
    assert tuning.api.fine_tuning.jobs.retrieve(job.id).result_files == []


def test_ids_of_nothing_are_not_found(tuning: Tuning) -> None:
    tuning.start()
    for id in ("none", "last", ".hidden", "%2e%2e", "a%2fb"):
        for path in ("", "/events", "/checkpoints"):
            reply = httpx.get(f"{tuning.address}{JOBS}/{id}{path}")
            assert reply.status_code == 404
            assert error_in(reply)["code"] in ("job-missing", "request-no-route")


def test_a_job_is_paused_resumed_and_cancelled(waiting: Tuning) -> None:
    jobs = waiting.container.jobs()
    started = waiting.start()
    assert started.status == "queued"
    assert (started.finished_at, started.fine_tuned_model) == (None, None)
    api = waiting.api.fine_tuning.jobs

    def worker_ends() -> None:
        jobs.end(jobs.get(started.id), EventKind.STOPPED, {"step": 1})

    api.pause(started.id)
    assert waiting.container.launcher().stopped
    worker_ends()
    paused = api.retrieve(started.id)
    assert str(paused.status) == "paused"
    assert api.resume(started.id).status == "queued"
    assert api.cancel(started.id).status == "cancelled"
    worker_ends()
    cancelled = api.retrieve(started.id)
    strict(FineTuningJob, cancelled)
    assert cancelled.status == "cancelled"
    for again in (api.resume, api.cancel, api.pause):
        with pytest.raises(openai.BadRequestError):
            again(started.id)


def test_a_paused_job_can_be_cancelled(waiting: Tuning) -> None:
    started, jobs = waiting.start(), waiting.container.jobs()
    jobs.end(jobs.get(started.id), EventKind.STOPPED, {"step": 1})
    assert waiting.api.fine_tuning.jobs.cancel(started.id).status == "cancelled"


def test_a_running_job_says_when_it_will_be_done(waiting: Tuning) -> None:
    started, jobs = waiting.start(), waiting.container.jobs()
    run = jobs.assign(jobs.get(started.id), WorkerId(pid=1, started_at=0.0))
    jobs.save(run.moved(JobStatus.RUNNING, started_at=1.0))
    retrieve = waiting.api.fine_tuning.jobs.retrieve
    assert retrieve(started.id).status == "validating_files"
    jobs.append(run, EventKind.PHASE, {"phase": "training"})
    assert retrieve(started.id).status == "running"
    step = jobs.append(run, EventKind.STEP, {"step": 1, "total_steps": 2, "loss": 1.0, "eta_s": 9})
    assert retrieve(started.id).estimated_finish == int(step.at + 9)


def test_a_failed_job_says_why(waiting: Tuning) -> None:
    started, jobs = waiting.start(), waiting.container.jobs()
    problem = {"code": "run-failed", "message": "No.", "hint": "Look.", "field": None}
    jobs.end(jobs.get(started.id), EventKind.FAILED, problem)
    failed = waiting.api.fine_tuning.jobs.retrieve(started.id)
    strict(FineTuningJob, failed)
    assert failed.status == "failed"
    assert failed.error is not None
    assert (failed.error.code, failed.error.message) == ("run-failed", "No.")


def test_checkpoints_that_are_there_are_listed(waiting: Tuning) -> None:
    started, jobs = waiting.start(), waiting.container.jobs()
    run = jobs.get(started.id)
    for step in (1, 2, 3):
        data = {"step": step, "total_steps": 3, "loss": 1.0 / step}
        jobs.append(run, EventKind.STEP, data)
        path = f"checkpoints/checkpoint-{step}"
        jobs.append(run, EventKind.CHECKPOINT, {"step": step, "path": path})
        if step > 1:
            jobs.write_text(run, f"{path}/complete", "")
    found = list(waiting.api.fine_tuning.jobs.checkpoints.list(started.id, limit=1))
    for each in found:
        strict(FineTuningJobCheckpoint, each)
    assert [each.step_number for each in found] == [3, 2]
    assert found[0].metrics.train_loss == pytest.approx(1 / 3)
    assert found[0].fine_tuned_model_checkpoint == f"ft:fake:hextune::{run.id}:ckpt-step-3"
    reply = httpx.get(f"{waiting.address}{JOBS}/{run.id}/checkpoints").json()
    named = "#/components/schemas/ListFineTuningJobCheckpointsResponse"
    assert list(faults(named, reply)) == []


def test_a_model_is_deleted_and_its_run_stays(tuning: Tuning) -> None:
    job = tuning.start()
    name = job.fine_tuned_model
    assert name is not None
    tuning.api.chat.completions.create(**body(model=name))
    strict(ModelDeleted, tuning.api.models.delete(name))
    assert name not in [model.id for model in tuning.api.models.list()]
    with pytest.raises(openai.NotFoundError):
        tuning.api.chat.completions.create(**body(model=name))
    assert tuning.api.fine_tuning.jobs.retrieve(job.id).status == "succeeded"
    for other in ("echo-run", "fake"):
        reply = httpx.delete(f"{tuning.address}/v1/models/{other}")
        assert (reply.status_code, error_in(reply)["code"]) == (403, "model-not-own")
