"""`/v1/fine_tuning/jobs`: OpenAI's fine-tuning API over runs, whatever door they came by."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Header, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from domain.errors import HextuneError
from entrypoints.http_api.body import read_json
from entrypoints.http_api.door import Door
from entrypoints.http_api.job_events import EventStream
from entrypoints.http_api.schema.fine_tuning import JobBody, read_job
from entrypoints.http_api.schema.fine_tuning_replies import (
    checkpoint_reply,
    event_reply,
    job_reply,
    seq_of,
)
from entrypoints.http_api.schema.pages import EventQuery, PageQuery, list_reply, page
from entrypoints.http_api.schema.shown import json_schema
from entrypoints.http_api.schema.values import bad

METADATA = re.compile(r"metadata\[([^\]]{1,64})\]")
Key = Annotated[str | None, Header(max_length=255)]


def fine_tuning_routes(door: Door) -> APIRouter:
    """The routes of fine-tuning jobs."""
    router = APIRouter(prefix="/v1/fine_tuning/jobs")
    jobs: Any = door.container.fine_tune_jobs()

    @router.post("", openapi_extra=json_schema(JobBody))
    async def create_job(http: Request, idempotency_key: Key = None) -> JSONResponse:
        """Start a job once its files and settings are checked, or show its plan.

        `hextune` takes sections of a run spec, as `tune schema` describes them, and `dry_run`.
        """
        request = read_job(await read_json(http))
        start: Any = door.container.start_fine_tune()
        served = {model.name: model.base for model in door.slot.served()}
        if request.dry_run:
            planned = await to_thread.run_sync(start.planned, request.asked, served)
            return JSONResponse({"object": "hextune.plan", **planned.plan.as_json()})
        run = await to_thread.run_sync(start, request.asked, served, idempotency_key)
        return JSONResponse(job_reply(await to_thread.run_sync(jobs.get, run.id)))

    @router.get("")
    async def list_jobs(
        http: Request, after: str | None = None, limit: Annotated[int, Query(ge=1, le=1000)] = 20
    ) -> JSONResponse:
        """Jobs, newest first; `metadata[key]=value` keeps those that carry it."""
        wanted = wanted_metadata(http)

        def listed() -> Mapping[str, object]:
            runs = [run for run in jobs.all() if fits(jobs.metadata(run), wanted)]
            shown, more = page(runs, lambda run: run.id, after, limit)
            return list_reply([job_reply(jobs.view(run)) for run in shown], more)

        return JSONResponse(await to_thread.run_sync(listed))

    @router.get("/{job_id}")
    async def retrieve_job(job_id: str) -> JSONResponse:
        """A job as it is now."""
        return JSONResponse(job_reply(await to_thread.run_sync(jobs.get, job_id)))

    @router.post("/{job_id}/cancel")
    async def cancel_job(job_id: str) -> JSONResponse:
        """End a job for good; its last state is saved."""
        return JSONResponse(job_reply(await to_thread.run_sync(jobs.cancel, job_id)))

    @router.post("/{job_id}/pause")
    async def pause_job(job_id: str) -> JSONResponse:
        """Have a job saved and its worker end."""
        return JSONResponse(job_reply(await to_thread.run_sync(jobs.pause, job_id)))

    @router.post("/{job_id}/resume")
    async def resume_job(job_id: str) -> JSONResponse:
        """Have a paused or failed job go on from its newest checkpoint."""
        return JSONResponse(job_reply(await to_thread.run_sync(jobs.resume, job_id)))

    @router.get("/{job_id}/events")
    async def list_events(
        job_id: str,
        query: Annotated[EventQuery, Query()],
        last_event_id: Annotated[str | None, Header()] = None,
    ) -> Response:
        """Events, newest first; with `stream` all of them in order, then each as it happens."""
        events = await to_thread.run_sync(jobs.events, job_id)
        if query.stream:
            seen, field = (
                last_event_id or query.after,
                "Last-Event-ID" if last_event_id else "after",
            )
            return EventStream(door, job_id, seq_of(seen, job_id, field) if seen else 0)
        before = seq_of(query.after, job_id, "after") if query.after else len(events) + 1
        older = [event for event in reversed(events) if event.seq < before]
        shown = [event_reply(job_id, event) for event in older[: query.limit]]
        return JSONResponse(list_reply(shown, len(older) > query.limit))

    @router.get("/{job_id}/checkpoints")
    async def list_checkpoints(job_id: str, query: Annotated[PageQuery, Query()]) -> JSONResponse:
        """Checkpoints that are still there, newest first; each can be chatted with."""
        found = await to_thread.run_sync(jobs.checkpoints, job_id)
        replies = [checkpoint_reply(each) for each in found]
        shown, more = page(replies, lambda reply: str(reply["id"]), query.after, query.limit)
        return JSONResponse(list_reply(shown, more))

    return router


def wanted_metadata(http: Request) -> Mapping[str, str] | None:
    """The notes a listing asks for; None for jobs without any. Raises HextuneError for others."""
    wanted: dict[str, str] = {}
    for name, value in http.query_params.multi_items():
        found = METADATA.fullmatch(name)
        if found:
            wanted[found[1]] = value
        elif name == "metadata" and value == "null":
            return None
        elif name not in ("after", "limit"):
            raise HextuneError([bad(name, "a listing of jobs has no such parameter")])
    return wanted


def fits(metadata: Mapping[str, str], wanted: Mapping[str, str] | None) -> bool:
    """Whether a job's notes are those asked for."""
    if wanted is None:
        return not metadata
    return wanted.items() <= metadata.items()
