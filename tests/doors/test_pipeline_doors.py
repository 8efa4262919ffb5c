"""What the doors say of pipelines and of runs that made no model to chat with."""

from typing import Any

import pytest

from adapters.translate import JsonTranslator
from domain.events import EventKind, JobEvent
from domain.job import Job, JobKind, JobStatus, PartOf
from entrypoints.cli.follow import event_lines, next_steps
from entrypoints.grpc_api.messages import event_message, job_message, plan_message
from entrypoints.tui.event_lines import event_line
from entrypoints.tui.once import snapshot_text
from entrypoints.tui.runs import RunReader
from entrypoints.tui.shown import Texts
from ports.spec_reader import SpecText
from tests.doors.tui_stage import LANGUAGES, frozen_container

PART = JobEvent(
    seq=2,
    at=1.0,
    kind=EventKind.PART,
    data={"name": "dpo", "number": 2, "count": 3, "run": "r-1", "status": "running"},
)


def job(kind: JobKind, **changes: Any) -> Job:
    return Job(
        id="j", name="j", folder="/runs/j", working_folder="/", spec_hash="0" * 64, created_at=1.0,
        kind=kind, status=JobStatus.SUCCEEDED, **changes,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "results", "said", "unsaid"),
    [
        (JobKind.TRAIN, {"yields": "chat_model", "adapter": True}, ["chat j", "merge j"], []),
        (JobKind.TRAIN, {"yields": "chat_model", "adapter": False}, ["chat j"], ["merge"]),
        (JobKind.TRAIN, {"yields": "base_model", "adapter": True}, ["adapters=[j]"], ["chat"]),
        (JobKind.TRAIN, {"yields": "reward_model", "adapter": True}, ["model: j"],
         ["tune chat", "merge"]),
        (JobKind.EVALUATE, {}, ["eval show j"], ["chat"]),
        (JobKind.GENERATE, {}, ["/runs/j/pairs.jsonl"], ["chat", "report"]),
        (JobKind.PIPELINE, {"steps": {"sft": "r"}, "model": "r"}, ["sft: run r", "chat j"],
         ["report"]),
        (JobKind.PIPELINE, {"steps": {"reward": "r"}, "model": None}, ["run r"], ["chat"]),
    ],
)  # fmt: skip
def test_what_is_suggested_after_a_run_fits_what_it_made(
    kind: JobKind, results: dict[str, Any], said: list[str], unsaid: list[str]
) -> None:
    text = "\n".join(next_steps(job(kind), results))
    assert [each for each in said if each not in text] == []
    assert [each for each in unsaid if each in text] == []


def test_a_step_of_a_pipeline_is_a_line_in_a_log() -> None:
    assert list(event_lines(PART)) == ["step dpo (2/3): running, run r-1"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_step_of_a_pipeline_is_a_line_in_the_monitor(language: str) -> None:
    line = event_line(Texts(JsonTranslator(), language), PART)
    assert all(part in line for part in ("dpo", "2", "3", "r-1"))
    assert "running" not in line or language == "en"


def test_the_list_says_which_step_a_pipeline_is_at() -> None:
    container = frozen_container()
    jobs = container.jobs()
    made = jobs.create(job(JobKind.PIPELINE, total_steps=20), {})
    jobs.append(made, EventKind.PART, PART.data)
    jobs.append(made, EventKind.PROGRESS, {"step": 7, "total_steps": 20, "title": "dpo"})
    rows = {row.job.id: row for row in RunReader(container).read()}
    assert (rows["j"].title, rows["j"].steps) == ("j › dpo 2/3", "7/20")
    assert "j › dpo 2/3" in snapshot_text(container, "en")


@pytest.mark.parametrize("kind", JobKind)
def test_grpc_knows_every_kind_of_job_and_the_step_event(kind: JobKind) -> None:
    from entrypoints.grpc_api.generated.hextune.v1 import jobs_pb2

    message = job_message(job(kind))
    assert jobs_pb2.JobKind.Name(message.kind) == f"JOB_KIND_{kind.name}"
    assert dict(event_message(PART).data)["run"] == "r-1"


def test_a_job_that_is_part_of_a_pipeline_reads_back() -> None:
    made = job(JobKind.TRAIN, part_of=PartOf(pipeline="p", step="sft"))
    assert Job.from_json(made.as_json()) == made
    old = job(JobKind.TRAIN).as_json()
    del old["part_of"]
    assert Job.from_json(old).part_of is None


def test_grpc_plans_every_step_of_a_pipeline() -> None:
    container = frozen_container()
    text = "model: {name: fake}\ndata: {train: [{path: rows.jsonl}]}\nschedule: {max_steps: 3}\n"
    text += "pipeline: [{name: a}, {name: b}]\n"
    planned = container.plan_job()(SpecText(text=text, format="yaml", source="p.yaml"))
    found: Any = plan_message(planned).plan
    assert [step["name"] for step in found["steps"]] == ["a", "b"]
    assert [step["total_steps"] for step in found["steps"]] == [3, 3]
