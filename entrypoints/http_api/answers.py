"""Answers of an engine, brought from threads into the event loop.

An engine's iterator blocks, so each answer has a thread of its own, which alone touches it: it
asks for the next piece, hands it over, and closes the iterator in the end. Closing can therefore
never meet a piece in the making, and an engine that answers one request after another holds up
only the threads of those that wait.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from math import inf

from anyio import CancelScope, CapacityLimiter, create_memory_object_stream, from_thread, to_thread
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from starlette.types import Receive

from domain.sampling import GenerationRequest, TextDelta
from ports.inference import InferenceBackend

Piece = tuple[int, TextDelta | Exception]
Sink = MemoryObjectSendStream[Piece]


@dataclass(frozen=True, slots=True)
class Pieces:
    """Pieces of several answers in the order they come, each with the number of its answer."""

    stream: MemoryObjectReceiveStream[Piece]

    def __aiter__(self) -> "Pieces":
        return self

    async def __anext__(self) -> tuple[int, TextDelta]:
        """The next piece; raises what the engine raised."""
        index, piece = await self.stream.__anext__()
        if isinstance(piece, Exception):
            raise piece
        return index, piece


@asynccontextmanager
async def answering(
    engine: InferenceBackend, requests: Sequence[GenerationRequest], receive: Receive
) -> AsyncIterator[Pieces]:
    """The answers to `requests`, while the block runs; then every generation is closed.

    The block ends early where the client goes away, which `receive` tells.
    """
    # Without bounds, as a client that reads slowly must not hold up an engine that others wait for.
    sink, stream = create_memory_object_stream[Piece](inf)
    # A shared limit would let waiting answers take the thread a running one needs.
    limiter = CapacityLimiter(len(requests))
    with CancelScope() as scope:
        tasks = [
            asyncio.create_task(produce(engine, request, index, sink.clone(), limiter))
            for index, request in enumerate(requests)
        ]
        sink.close()
        watch = asyncio.create_task(cancel_when_gone(receive, scope))
        try:
            yield Pieces(stream)
        finally:
            watch.cancel()
            stream.close()
            with CancelScope(shield=True):
                await asyncio.gather(*tasks, watch, return_exceptions=True)


async def produce(
    engine: InferenceBackend,
    request: GenerationRequest,
    index: int,
    sink: Sink,
    limiter: CapacityLimiter,
) -> None:
    """Hand the pieces of one answer over, or the error that ended it."""
    with sink:
        try:
            await to_thread.run_sync(pump, engine, request, index, sink, limiter=limiter)
        except Exception as error:
            sink.send_nowait((index, error))


def pump(engine: InferenceBackend, request: GenerationRequest, index: int, sink: Sink) -> None:
    """Run one generation in this thread; a sink nobody reads any more ends it."""
    answer = engine.generate(request)
    with closing(answer):
        for delta in answer:
            from_thread.run_sync(sink.send_nowait, (index, delta))


async def cancel_when_gone(receive: Receive, scope: CancelScope) -> None:
    """Wait until the client closes the connection, then cancel `scope`."""
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
