"""Responses that are made while nobody waits for them; they are looked at, and cancelled, by id.

They end with the server, as the store they go to does.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from starlette.types import Message

from domain.errors import Place, fail
from domain.sampling import GenerationRequest
from entrypoints.http_api.answers import answering
from entrypoints.http_api.errors import broken_off, shown_problem, status_of
from entrypoints.http_api.response_store import KeptEvents
from entrypoints.http_api.schema.replies import Reply
from ports.inference import InferenceBackend
from ports.texts import Translator

MOST = 256
"""Responses under way at once: each has a thread, and nobody's patience limits their number."""


@dataclass(slots=True)
class Running:
    """A response under way."""

    kept: KeptEvents
    language: str
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    async def until_cancelled(self) -> Message:
        """What tells an answer that nobody wants it any more."""
        await self.cancelled.wait()
        return {"type": "http.disconnect"}

    async def cancel(self) -> None:
        """End it, and wait until the engine has let it go."""
        self.cancelled.set()
        if self.task is not None:
            await self.task


@dataclass(slots=True)
class BackgroundResponses:
    """Those of one door; the event loop alone touches them."""

    translator: Translator
    _running: dict[str, Running] = field(default_factory=dict)

    def begin(
        self, engine: InferenceBackend, request: GenerationRequest, kept: KeptEvents, language: str
    ) -> Reply:
        """Have a response made. Raises HextuneError where too many are."""
        if len(self._running) >= MOST:
            raise fail("engine-busy", waiting=len(self._running))
        running = Running(kept, language)
        self._running[kept.events.id] = running
        running.task = asyncio.create_task(self._make(engine, request, running))
        return kept.events.response()

    def find(self, id: str) -> Running | None:
        """One that is under way."""
        return self._running.get(id)

    def check_ended(self, id: str, field: str | None = None) -> None:
        """Raises HextuneError for one that is under way."""
        if id in self._running:
            raise fail("response-running", Place(field=field), id=id)

    @asynccontextmanager
    async def ended_with(self, app: object) -> AsyncIterator[None]:
        """Cancels what is under way when the application ends: its lifespan."""
        yield
        for running in list(self._running.values()):
            await running.cancel()

    async def _make(
        self, engine: InferenceBackend, request: GenerationRequest, running: Running
    ) -> None:
        kept, events = running.kept, running.kept.events
        try:
            async with answering(engine, [request], running.until_cancelled) as pieces:
                async for _, delta in pieces:
                    kept.take(delta)
            if events.finish is None:
                events.break_off("cancelled")
        except Exception as error:  # it belongs to whoever asks what became of the response
            events.break_off("failed", self._failure(running.language, error))
        finally:
            del self._running[events.id]
            kept.keep()

    def _failure(self, language: str, error: Exception) -> Reply:
        """An error as OpenAI's responses tell it, which know few codes."""
        told = broken_off(error)
        status = status_of(told)
        code = "invalid_prompt" if status < 500 else "server_error"
        code = "rate_limit_exceeded" if status == 429 else code
        shown = shown_problem(self.translator, language, told.problems[0])
        return {"code": code, "message": f"{shown['message']} {shown['hint']}"}
