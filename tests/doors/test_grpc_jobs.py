"""JobService over loopback: runs made, found, watched with resume, stopped and resumed."""

import asyncio
import itertools

import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from grpc.aio import EOF

from domain.events import EventKind
from domain.job import JobStatus
from entrypoints.grpc_api.generated.hextune.v1 import jobs_pb2
from tests.doors.grpc_fixtures import (
    YAML,
    connected,
    create,
    failure,
    only_job,
    waiting_container,
)
from tests.fakes.container import SPEC, fake_container
from tests.fakes.processes import FakeLauncher


@pytest.mark.parametrize("status", JobStatus)
def test_every_status_has_a_value_in_the_schema(status: JobStatus) -> None:
    assert f"JOB_STATUS_{status.name}" in jobs_pb2.JobStatus.keys()  # noqa: SIM118


@pytest.mark.parametrize("kind", EventKind)
def test_every_event_kind_has_a_value_in_the_schema(kind: EventKind) -> None:
    assert f"EVENT_KIND_{kind.name}" in jobs_pb2.EventKind.keys()  # noqa: SIM118


async def test_a_created_job_is_the_one_in_the_store() -> None:
    container = fake_container()
    async with connected(container) as client:
        job = await client.jobs.CreateJob(create(request_id="first"))
    stored = only_job(container)
    assert (job.id, job.folder, job.request_id) == (stored.id, stored.folder, "first")
    assert job.status == jobs_pb2.JobStatus.JOB_STATUS_SUCCEEDED
    assert job.total_steps == 3
    assert job.created_at.ToMicroseconds() == round(stored.created_at * 1e6)
    assert job.HasField("ended_at")
    assert not job.HasField("problem")


@pytest.mark.parametrize(
    ("text", "format"),
    [
        ('{"model": {"name": "fake"}, "data": {"train": [{"path": "rows.jsonl"}]}}', "JSON"),
        ('[model]\nname = "fake"\n[[data.train]]\npath = "rows.jsonl"\n', "TOML"),
    ],
)
async def test_specs_come_in_every_format(text: str, format: str) -> None:
    async with connected(fake_container()) as client:
        request = create(
            spec_text=text, spec_format=f"SPEC_FORMAT_{format}", overrides=["schedule.max_steps=5"]
        )
        job = await client.jobs.CreateJob(request)
    assert job.total_steps == 5


async def test_the_same_request_id_makes_one_job() -> None:
    container = fake_container()
    async with connected(container) as client:
        first = await client.jobs.CreateJob(create(request_id="once"))
        second = await client.jobs.CreateJob(create(request_id="once"))
        other = await client.jobs.CreateJob(create())
    assert first.id == second.id != other.id
    assert len(container.jobs().all()) == 2


async def test_a_request_id_used_for_another_spec_already_exists() -> None:
    async with connected(fake_container()) as client:
        await client.jobs.CreateJob(create(request_id="once"))
        call = client.jobs.CreateJob(create(request_id="once", overrides=["seed=7"]))
        failed = await failure(call)
    assert failed.code is grpc.StatusCode.ALREADY_EXISTS
    assert failed.info.reason == "run-request-differs"
    assert dict(failed.info.metadata) == {"request_id": "once"}


async def test_jobs_are_got_by_id_and_by_last() -> None:
    async with connected(fake_container()) as client:
        made = await client.jobs.CreateJob(create())
        by_id = await client.jobs.GetJob(jobs_pb2.GetJobRequest(job_id=made.id))
        last = await client.jobs.GetJob(jobs_pb2.GetJobRequest(job_id="last"))
        missing = await failure(client.jobs.GetJob(jobs_pb2.GetJobRequest(job_id="nothing")))
    assert by_id == last == made
    assert (missing.code, missing.info.reason) == (grpc.StatusCode.NOT_FOUND, "run-missing")


@pytest.mark.parametrize("job_id", ["", "/etc", "..", "../runs/a", "a\\b", "a b"])
async def test_a_job_id_never_is_a_path(job_id: str) -> None:
    async with connected(fake_container()) as client:
        failed = await failure(client.jobs.GetJob(jobs_pb2.GetJobRequest(job_id=job_id)))
    assert failed.code is grpc.StatusCode.INVALID_ARGUMENT
    assert [violation.field for violation in failed.violations] == ["job_id"]


async def test_pages_join_to_all_jobs_newest_first() -> None:
    container = fake_container()
    pages, token = [], ""
    async with connected(container) as client:
        made = []
        for _ in range(5):
            container.surroundings().sleep(1)
            made.append((await client.jobs.CreateJob(create())).id)
        for _ in range(3):
            request = jobs_pb2.ListJobsRequest(page_size=2, page_token=token)
            page = await client.jobs.ListJobs(request)
            pages.append([job.id for job in page.jobs])
            token = page.next_page_token
        whole = await client.jobs.ListJobs(jobs_pb2.ListJobsRequest())
    assert [len(page) for page in pages] == [2, 2, 1]
    assert list(itertools.chain(*pages)) == made[::-1] == [job.id for job in whole.jobs]
    assert token == whole.next_page_token == ""


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (jobs_pb2.ListJobsRequest(page_size=-1), "page_size"),
        (jobs_pb2.ListJobsRequest(page_token="%%%"), "page_token"),
        (jobs_pb2.ListJobsRequest(page_token="bm9uZQ=="), "page_token"),
    ],
)
async def test_bad_pages_are_refused(request_: jobs_pb2.ListJobsRequest, field: str) -> None:
    async with connected(fake_container()) as client:
        failed = await failure(client.jobs.ListJobs(request_))
    assert failed.code is grpc.StatusCode.INVALID_ARGUMENT
    assert [violation.field for violation in failed.violations] == [field]


async def test_a_watch_gives_all_events_then_ends_and_resumes_in_the_middle() -> None:
    container = fake_container()
    async with connected(container) as client:
        job = await client.jobs.CreateJob(create())
        request = jobs_pb2.WatchJobRequest(job_id=job.id)
        events = [event async for event in client.jobs.WatchJob(request)]
        middle = jobs_pb2.WatchJobRequest(job_id=job.id, after_seq=events[3].seq)
        rest = [event async for event in client.jobs.WatchJob(middle)]
    stored = list(container.jobs().events(only_job(container)))
    assert [event.seq for event in events] == list(range(1, len(stored) + 1))
    assert events[0].kind == jobs_pb2.EventKind.EVENT_KIND_CREATED
    assert events[-1].kind == jobs_pb2.EventKind.EVENT_KIND_SUCCEEDED
    assert [MessageToDict(event.data) for event in events] == [dict(e.data) for e in stored]
    assert rest == events[4:]


async def test_a_watch_follows_a_run_that_goes_on() -> None:
    container = waiting_container()
    async with connected(container) as client:
        made = await client.jobs.CreateJob(create())
        watch = client.jobs.WatchJob(jobs_pb2.WatchJobRequest(job_id=made.id, after_seq=1))
        job, store = only_job(container), container.jobs()
        for step in (1, 2):
            store.append(job, EventKind.STEP, {"step": step})
            event = await asyncio.wait_for(watch.read(), 5)
            assert (event.seq, event.data["step"]) == (step + 1, step)
        store.end(job, EventKind.STOPPED, {"step": 2})
        last = await asyncio.wait_for(watch.read(), 5)
        assert last.kind == jobs_pb2.EventKind.EVENT_KIND_STOPPED
        assert await asyncio.wait_for(watch.read(), 5) is EOF


async def test_a_watch_of_no_job_is_not_found() -> None:
    async with connected(fake_container()) as client:
        failed = await failure(client.jobs.WatchJob(jobs_pb2.WatchJobRequest(job_id="none")))
    assert (failed.code, failed.info.reason) == (grpc.StatusCode.NOT_FOUND, "run-missing")


@pytest.mark.parametrize("now", [False, True])
async def test_cancel_asks_the_worker_to_stop(now: bool) -> None:
    container = waiting_container()
    async with connected(container) as client:
        job = await client.jobs.CreateJob(create())
        await client.jobs.CancelJob(jobs_pb2.CancelJobRequest(job_id=job.id, now=now))
    assert container.launcher().stopped == [(1, now)]


async def test_cancelling_a_job_that_ended_is_a_failed_precondition() -> None:
    async with connected(fake_container()) as client:
        job = await client.jobs.CreateJob(create())
        failed = await failure(client.jobs.CancelJob(jobs_pb2.CancelJobRequest(job_id=job.id)))
    assert failed.code is grpc.StatusCode.FAILED_PRECONDITION
    assert failed.info.reason == "run-not-running"
    assert dict(failed.info.metadata) == {"name": job.id, "status": "succeeded"}


async def test_a_stopped_job_resumes_and_a_finished_one_does_not() -> None:
    container = waiting_container()
    async with connected(container) as client:
        made = await client.jobs.CreateJob(create())
        container.jobs().end(only_job(container), EventKind.STOPPED, {"step": 1})
        request = jobs_pb2.ResumeJobRequest(job_id=made.id)
        resumed = await client.jobs.ResumeJob(request)
        again = await failure(client.jobs.ResumeJob(request))
    assert resumed.status == jobs_pb2.JobStatus.JOB_STATUS_QUEUED
    assert container.launcher().started == [(made.id, False), (made.id, True)]
    assert again.code is grpc.StatusCode.FAILED_PRECONDITION
    assert again.info.reason == "run-not-resumable"


async def test_a_job_whose_worker_died_says_why() -> None:
    container = waiting_container()
    async with connected(container) as client:
        made = await client.jobs.CreateJob(create())
        launcher: FakeLauncher = container.launcher()
        launcher.dead.add(1)
        job = await client.jobs.GetJob(jobs_pb2.GetJobRequest(job_id=made.id))
    assert job.status == jobs_pb2.JobStatus.JOB_STATUS_FAILED
    assert job.problem.code == "run-lost"
    assert made.id in job.problem.hint


async def test_a_plan_starts_nothing_and_gives_reasons() -> None:
    container = fake_container()
    async with connected(container) as client:
        request = jobs_pb2.PlanJobRequest(spec_text=SPEC, spec_format=YAML, overrides=["seed=7"])
        plan = MessageToDict((await client.jobs.PlanJob(request)).plan)
    seed = next(decision for decision in plan["decisions"] if decision["key"] == "seed")
    assert (seed["value"], seed["origin"]) == (7, "override")
    assert plan["steps"]["total_steps"] == 3
    assert container.jobs().all() == []
