"""Streamed chat completions: server-sent events as OpenAI's API sends them.

Headers go out with the first piece of text, so that an error known before is a plain reply with a
status; a later one is an event of the stream.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from domain.errors import HextuneError
from domain.sampling import TextDelta
from entrypoints.http_api.answers import Pieces, answering
from entrypoints.http_api.errors import error_body, log, status_of, unexpected
from entrypoints.http_api.schema.chat import ChatRequest
from entrypoints.http_api.schema.replies import Heading, Reply, Usage, chunk_choice
from ports.inference import InferenceBackend
from ports.texts import Translator

START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"cache-control", b"no-cache"),
        (b"x-accel-buffering", b"no"),
    ],
}
DONE = b"data: [DONE]\n\n"


def event(value: Mapping[str, object]) -> bytes:
    """A JSON value as one event."""
    return f"data: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()


@dataclass(slots=True, kw_only=True)
class Chunks:
    """Turns pieces of answers into chunks of one reply."""

    heading: Heading
    include_usage: bool
    usage: Usage = field(default_factory=Usage)
    begun: set[int] = field(default_factory=set)

    def of(self, index: int, delta: TextDelta) -> Iterator[Reply]:
        """The chunks of one piece: who speaks before the first, why it ends after the last."""
        self.usage.add(delta)
        if index not in self.begun:
            self.begun.add(index)
            yield self._chunk(chunk_choice(index, {"role": "assistant", "content": ""}))
        if delta.text:
            yield self._chunk(chunk_choice(index, {"content": delta.text}))
        if delta.finish_reason:
            yield self._chunk(chunk_choice(index, {}, delta.finish_reason))

    def last(self) -> Iterator[Reply]:
        """The chunk of numbers, where it was asked for."""
        if self.include_usage:
            yield self.heading.chunk([], usage=self.usage.reply())

    def _chunk(self, choice: Reply) -> Reply:
        if self.include_usage:
            return self.heading.chunk([choice], usage=None)
        return self.heading.chunk([choice])


class ChatStream(Response):
    """The streamed reply to one request."""

    def __init__(
        self,
        engine: InferenceBackend,
        request: ChatRequest,
        heading: Heading,
        translator: Translator,
    ) -> None:
        super().__init__()
        self._engine = engine
        self._request = request
        self._chunks = Chunks(heading=heading, include_usage=request.include_usage)
        self._translator = translator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Generate and send until the answers end or the client goes away."""
        async with answering(self._engine, self._request.generations, receive) as pieces:
            first = await anext(pieces)
            await send(START)
            try:
                await self._send_answers(first, pieces, send)
            except Exception as error:
                await send_piece(send, event(self._failure(scope, error)))
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_answers(self, first: tuple[int, TextDelta], pieces: Pieces, send: Send) -> None:
        for chunk in self._chunks.of(*first):
            await send_piece(send, event(chunk))
        async for index, delta in pieces:
            for chunk in self._chunks.of(index, delta):
                await send_piece(send, event(chunk))
        for chunk in self._chunks.last():
            await send_piece(send, event(chunk))
        await send_piece(send, DONE)

    def _failure(self, scope: Scope, error: Exception) -> Mapping[str, object]:
        if isinstance(error, HextuneError):
            shown = error
        else:
            log.error("An answer broke off", exc_info=error)
            shown = unexpected(error)
        language = self._translator.choose(Headers(scope=scope).get("accept-language"))
        return error_body(self._translator, language, shown, status_of(shown))


async def send_piece(send: Send, body: bytes) -> None:
    """Send a part of the body that is not the last."""
    await send({"type": "http.response.body", "body": body, "more_body": True})
