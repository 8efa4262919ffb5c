"""Blocking iterators as asynchronous ones.

Each gets a thread of its own: the loop's thread pool has a few threads per core, and that many
watchers of long runs would leave none for other calls.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar, cast

T = TypeVar("T")

AHEAD = 8
"""Items fetched before the reader asks; more would be generated for a reader that may be gone."""


@dataclass(frozen=True, slots=True)
class _End:
    """What follows the last item: why there are no more."""

    error: BaseException | None


async def in_thread(
    start: Callable[[Callable[[], bool]], Iterator[T]],
) -> AsyncGenerator[T, None]:
    """Items of the iterator that `start(gone)` gives, run in a thread.

    Closing this generator makes `gone()` true, and waits until the iterator has been closed.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[T | _End] = asyncio.Queue()
    room = threading.Semaphore(AHEAD)
    left = threading.Event()

    def hand(item: T | _End) -> None:
        loop.call_soon_threadsafe(queue.put_nowait, item)

    def run() -> None:
        error: BaseException | None = None
        try:
            # The ports promise that their iterators can be closed; `Iterator` cannot say so.
            with closing(cast(Generator[T, None, None], start(left.is_set))) as items:
                for item in items:
                    hand(item)
                    room.acquire()
                    if left.is_set():
                        break
        except BaseException as caught:  # it belongs to the caller, who waits for the end
            error = caught
        hand(_End(error))

    threading.Thread(target=run, name="grpc-stream", daemon=True).start()
    item: T | _End | None = None
    try:
        while not isinstance(item := await queue.get(), _End):
            room.release()
            yield item
    finally:
        left.set()
        room.release()
        while not isinstance(item, _End):
            item = await queue.get()
    if item.error is not None:
        raise item.error
