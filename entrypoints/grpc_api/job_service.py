"""JobService: runs planned, started, watched, stopped and resumed."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import aclosing
from typing import Any

from domain.errors import HextuneError, fail
from domain.events import JobEvent
from entrypoints.container import Container
from entrypoints.grpc_api.generated.hextune.v1 import jobs_pb2, jobs_pb2_grpc
from entrypoints.grpc_api.messages import event_message, job_message, plan_message
from entrypoints.grpc_api.requests import bad_field, job_id_of, page_of, spec_text_of
from entrypoints.grpc_api.streams import in_thread


class JobService(jobs_pb2_grpc.JobServiceServicer):
    """The run use cases. Their HextuneErrors pass to the interceptors."""

    def __init__(self, container: Container, draining: threading.Event) -> None:
        self._container = container
        self._draining = draining

    async def CreateJob(  # noqa: N802
        self, request: jobs_pb2.CreateJobRequest, context: Any
    ) -> jobs_pb2.Job:
        """Start a run, a pipeline or an evaluation, or find the one the same request id started."""
        start, text = start_of(self._container, request.kind), spec_text_of(request)
        job = await asyncio.to_thread(lambda: start()(text, request.request_id or None))
        return job_message(job)

    async def GetJob(  # noqa: N802
        self, request: jobs_pb2.GetJobRequest, context: Any
    ) -> jobs_pb2.Job:
        """A run as it is now."""
        find, name = self._container.find_run(), job_id_of(request.job_id)
        return job_message(await asyncio.to_thread(find, name))

    async def ListJobs(  # noqa: N802
        self, request: jobs_pb2.ListJobsRequest, context: Any
    ) -> jobs_pb2.ListJobsResponse:
        """A page of runs, newest first."""
        jobs = await asyncio.to_thread(self._container.find_run().all)
        page, after = page_of(jobs, lambda job: job.id, request.page_size, request.page_token)
        return jobs_pb2.ListJobsResponse(
            jobs=[job_message(job) for job in page], next_page_token=after
        )

    async def CancelJob(  # noqa: N802
        self, request: jobs_pb2.CancelJobRequest, context: Any
    ) -> jobs_pb2.Job:
        """Ask a run's worker to end."""
        stop, name = self._container.stop_run(), job_id_of(request.job_id)
        return job_message(await asyncio.to_thread(stop, name, now=request.now))

    async def ResumeJob(  # noqa: N802
        self, request: jobs_pb2.ResumeJobRequest, context: Any
    ) -> jobs_pb2.Job:
        """Queue a run again."""
        resume, name = self._container.resume_run(), job_id_of(request.job_id)
        return job_message(await asyncio.to_thread(resume, name))

    async def WatchJob(  # noqa: N802
        self, request: jobs_pb2.WatchJobRequest, context: Any
    ) -> None:
        """Write events until the run has ended or this server stops."""
        watch, name = self._container.watch_run(), job_id_of(request.job_id)

        def start(gone: Callable[[], bool]) -> Iterator[JobEvent]:
            found: Iterator[JobEvent] = watch(
                name, request.after_seq, lambda: gone() or self._draining.is_set()
            )
            return found

        async with aclosing(in_thread(start)) as events:
            async for event in events:
                await context.write(event_message(event))
        if self._draining.is_set():
            raise fail("server-stopping")

    async def PlanJob(  # noqa: N802
        self, request: jobs_pb2.PlanJobRequest, context: Any
    ) -> jobs_pb2.PlanJobResponse:
        """What a spec would do."""
        plan, text = self._container.plan_job, spec_text_of(request)
        return plan_message(await asyncio.to_thread(lambda: plan()(text)))


def start_of(container: Container, kind: int) -> Callable[[], Any]:
    """The provider of what starts a job of that kind. Raises HextuneError where none does."""
    known: dict[int, Callable[[], Any]] = {
        jobs_pb2.JOB_KIND_UNSPECIFIED: container.start_job,
        jobs_pb2.JOB_KIND_TRAIN: container.start_run,
        jobs_pb2.JOB_KIND_EVALUATE: container.start_evaluation,
    }
    if kind not in known:
        reason = "set JOB_KIND_TRAIN or JOB_KIND_EVALUATE, or leave it out"
        raise HextuneError([bad_field("kind", reason)])
    return known[kind]
