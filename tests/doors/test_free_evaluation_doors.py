"""Every door starts and shows evaluations of free answers."""

from typing import Any

import pytest
from dependency_injector import providers

from domain.job import JobKind, JobStatus
from domain.sampling import GenerationRequest, TextDelta
from entrypoints.container import Container
from entrypoints.grpc_api.generated.hextune.v1 import jobs_pb2
from ports.spec_reader import SpecText
from tests.doors.grpc_fixtures import connected, create, failure
from tests.doors.tui_stage import WIDE, HeardApp, frozen_container, opened, start, text_of
from tests.fakes.container import fake_container

ANSWERS = """\
model: {name: fake}
answers: [{data: [{path: rows.jsonl}], title: qa, scores: [rouge-1, f1]}]
bootstrap: 100
"""


class Parrot:
    """An engine that answers what it was asked."""

    def generate(self, request: GenerationRequest) -> Any:
        yield TextDelta(text=request.conversation.messages[-1].content)

    def close(self) -> None:
        """Nothing is held."""


def answering(container: Container) -> Container:
    container.open_engine.override(providers.Object(Parrot()))
    return container


async def test_grpc_starts_an_evaluation_and_the_same_request_starts_one() -> None:
    container = answering(fake_container())
    asked = create(spec_text=ANSWERS, kind=jobs_pb2.JOB_KIND_EVALUATE, request_id="once")
    async with connected(container) as client:
        job = await client.jobs.CreateJob(asked)
        again = await client.jobs.CreateJob(asked)
        assert job.kind == jobs_pb2.JOB_KIND_EVALUATE
        assert (again.id, job.total_steps) == (job.id, 8)
        found = await client.jobs.GetJob(jobs_pb2.GetJobRequest(job_id=job.id))
        assert found.status == jobs_pb2.JOB_STATUS_SUCCEEDED
        watched = client.jobs.WatchJob(jobs_pb2.WatchJobRequest(job_id=job.id))
        kinds = [event.kind async for event in watched]
        assert jobs_pb2.EVENT_KIND_PROGRESS in kinds
    assert [each.kind for each in container.jobs().all()] == [JobKind.EVALUATE]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"spec_text": "model: {name: fake}"}, "eval-nothing-asked"),
        ({"spec_text": "model: {name: fake}\nanswrs: []"}, "spec-unknown-key"),
        ({"kind": jobs_pb2.JOB_KIND_PIPELINE}, "request-bad-field"),
        ({"kind": 77}, "request-bad-field"),
    ],
)
async def test_grpc_tells_what_is_wrong_with_an_evaluation(
    changes: dict[str, Any], reason: str
) -> None:
    asked = {"spec_text": ANSWERS, "kind": jobs_pb2.JOB_KIND_EVALUATE, **changes}
    container = answering(fake_container())
    async with connected(container) as client:
        failed = await failure(client.jobs.CreateJob(create(**asked)))
    assert failed.info.reason == reason
    assert not container.jobs().all()


async def test_grpc_still_takes_a_spec_without_a_kind_for_a_run() -> None:
    container = answering(fake_container())
    async with connected(container) as client:
        assert (await client.jobs.CreateJob(create())).kind == jobs_pb2.JOB_KIND_TRAIN
        failed = await failure(client.jobs.CreateJob(create(spec_text=ANSWERS)))
    assert failed.info.reason.startswith("spec-")


async def test_the_monitor_shows_how_far_it_is() -> None:
    container = answering(frozen_container())
    start(container, "trained")
    container.surroundings().time += 600
    text = SpecText(text=ANSWERS, format="yaml", source="eval.yaml")
    job = container.start_evaluation()(text)
    assert container.find_run()(job.id).status is JobStatus.SUCCEEDED
    async with HeardApp(container, "en").run_test(size=WIDE) as pilot:
        app = await opened(pilot, job)
        assert "succeeded" in text_of(app, "#head")
        assert "8/8  100%" in text_of(app, "#bar")
        assert "qa: 8/8" in text_of(app, "#lines")
