"""`GET /metrics`: counters for Prometheus, and the middleware that counts requests."""

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from anyio import to_thread
from fastapi import APIRouter
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from entrypoints.http_api.door import Door
from entrypoints.http_api.errors import CLIENT_GONE
from ports.meter import Meter

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
UNKNOWN = "none"
"""The route of requests that none takes, whatever path they name."""


def metric_routes(door: Door) -> APIRouter:
    """The route of metrics."""
    router = APIRouter()

    @router.get("/metrics")
    async def metrics() -> Response:
        """Requests, latencies, tokens and jobs in Prometheus' text format."""
        runs: Any = door.container.find_run()

        def text() -> bytes:
            jobs: Mapping[str, int] = Counter(run.status.value for run in runs.all())
            return door.meter.text(jobs)

        return Response(await to_thread.run_sync(text), media_type=CONTENT_TYPE)

    return router


class CountRequests:
    """Middleware that counts every request with its status and the time to its last byte."""

    def __init__(self, app: ASGIApp, meter: Meter) -> None:
        self._app = app
        self._meter = meter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, then count it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, began_s = CLIENT_GONE, time.monotonic()

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            route = scope["route"].path if "route" in scope else UNKNOWN
            seconds = time.monotonic() - began_s
            self._meter.answered(scope["method"], route, status, seconds)
