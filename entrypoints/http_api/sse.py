"""Streamed completions: server-sent events as OpenAI's API sends them.

Headers go out with the first piece of text, so that an error known before is a plain reply with a
status; a later one is an event of the stream.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from domain.sampling import GenerationRequest, TextDelta
from entrypoints.http_api.answers import Pieces, answering
from entrypoints.http_api.errors import broken_off, error_body, status_of
from entrypoints.http_api.schema.replies import Reply
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


class Chunking(Protocol):
    """Turns pieces of answers into chunks of one reply."""

    def of(self, index: int, delta: TextDelta) -> Iterator[Reply]:
        """The chunks of one piece of answer `index`."""

    def last(self) -> Iterator[Reply]:
        """The chunks after the last piece."""


class AnswerStream(Response):
    """The streamed reply to one request."""

    END = DONE

    def __init__(
        self,
        engine: InferenceBackend,
        generations: Sequence[GenerationRequest],
        chunks: Chunking,
        translator: Translator,
    ) -> None:
        super().__init__()
        self._engine = engine
        self._generations = generations
        self._chunks = chunks
        self._translator = translator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Generate and send until the answers end or the client goes away."""
        async with answering(self._engine, self._generations, receive) as pieces:
            first = await anext(pieces)
            await send(START)
            try:
                await self._send_answers(first, pieces, send)
            except Exception as error:
                await send_piece(send, self.written(self.failure(scope, error)))
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_answers(self, first: tuple[int, TextDelta], pieces: Pieces, send: Send) -> None:
        for chunk in self._chunks.of(*first):
            await send_piece(send, self.written(chunk))
        async for index, delta in pieces:
            for chunk in self._chunks.of(index, delta):
                await send_piece(send, self.written(chunk))
        for chunk in self._chunks.last():
            await send_piece(send, self.written(chunk))
        await send_piece(send, self.END)

    def written(self, chunk: Reply) -> bytes:
        """A chunk as it goes out."""
        return event(chunk)

    def failure(self, scope: Scope, error: Exception) -> Reply:
        """What is told of an answer that broke off."""
        shown = broken_off(error)
        language = self._translator.choose(Headers(scope=scope).get("accept-language"))
        return error_body(self._translator, language, shown, status_of(shown))


class NumberedChunking(Chunking, Protocol):
    """Chunks that have numbers."""

    def next_number(self) -> int:
        """The number of the chunk that comes next."""


class TypedAnswerStream(AnswerStream):
    """Events with names and numbers, as OpenAI's responses have them; the last one ends them."""

    END = b""

    def __init__(
        self,
        engine: InferenceBackend,
        generations: Sequence[GenerationRequest],
        chunks: NumberedChunking,
        translator: Translator,
    ) -> None:
        super().__init__(engine, generations, chunks, translator)
        self._numbered = chunks

    def written(self, chunk: Reply) -> bytes:
        """A chunk under its type's name."""
        return f"event: {chunk['type']}\n".encode() + event(chunk)

    def failure(self, scope: Scope, error: Exception) -> Reply:
        """The error as an event."""
        told = super().failure(scope, error)["error"]
        assert isinstance(told, Mapping)
        number = self._numbered.next_number()
        return {**told, "type": "error", "sequence_number": number}


async def send_piece(send: Send, body: bytes) -> None:
    """Send a part of the body that is not the last."""
    await send({"type": "http.response.body", "body": body, "more_body": True})
