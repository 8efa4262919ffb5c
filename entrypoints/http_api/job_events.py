"""A job's events as server-sent events, each with its id, so that a client goes on after the last.

Waiting for events blocks, so one thread of the stream's own watches the run; it ends within a
moment of the client's leaving.
"""

from collections.abc import Iterator
from contextlib import suppress
from threading import Event
from typing import Any

from anyio import (
    BrokenResourceError,
    CapacityLimiter,
    ClosedResourceError,
    create_memory_object_stream,
    create_task_group,
    from_thread,
    to_thread,
)
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from domain.events import JobEvent
from entrypoints.http_api.door import Door
from entrypoints.http_api.schema.fine_tuning_replies import event_id, event_reply
from entrypoints.http_api.sse import DONE, START, event, send_piece

BUFFERED = 100
"""Events read ahead of a slow client."""


class EventStream(Response):
    """The streamed reply: events after a number until the run has ended."""

    def __init__(self, door: Door, job_id: str, after_seq: int) -> None:
        super().__init__()
        self._watch: Any = door.container.watch_run()
        self._job_id = job_id
        self._after_seq = after_seq

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events as they happen, until the run ends or the client goes away."""
        gone = Event()
        sink, source = create_memory_object_stream[JobEvent](BUFFERED)

        def watch() -> None:
            events: Iterator[JobEvent] = self._watch(self._job_id, self._after_seq, gone.is_set)
            with sink, suppress(BrokenResourceError, ClosedResourceError):
                for found in events:
                    from_thread.run(sink.send, found)

        async def leave() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            gone.set()
            group.cancel_scope.cancel()

        await send(START)
        async with create_task_group() as group:
            group.start_soon(leave)
            with source:
                # a limit of its own, as a watcher holds its thread for as long as the run lasts
                work = to_thread.run_sync
                group.start_soon(
                    lambda: work(watch, limiter=CapacityLimiter(1), abandon_on_cancel=True)
                )
                async for found in source:
                    id_line = f"id: {event_id(self._job_id, found.seq)}\n".encode()
                    await send_piece(send, id_line + event(event_reply(self._job_id, found)))
                await send_piece(send, DONE)
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            gone.set()
            group.cancel_scope.cancel()
