"""Blocking iterators as asynchronous ones: order, errors, room and the end."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing

import pytest

from entrypoints.grpc_api.streams import AHEAD, in_thread


async def test_items_come_in_order_from_a_thread_that_ends() -> None:
    names = []

    def start(gone: Callable[[], bool]) -> Iterator[int]:
        for number in range(100):
            names.append(threading.current_thread())
            yield number

    assert [item async for item in in_thread(start)] == list(range(100))
    (thread,) = set(names)
    assert thread is not threading.current_thread()
    thread.join(timeout=5)
    assert not thread.is_alive()


async def test_an_error_follows_the_items_before_it() -> None:
    def start(gone: Callable[[], bool]) -> Iterator[int]:
        yield 1
        raise ValueError("late")

    seen = []

    async def read() -> None:
        async for item in in_thread(start):
            seen.append(item)

    with pytest.raises(ValueError, match="late"):
        await read()
    assert seen == [1]


async def test_an_error_before_the_first_item_is_raised() -> None:
    def start(gone: Callable[[], bool]) -> Iterator[int]:
        raise ValueError("early")

    with pytest.raises(ValueError, match="early"):
        await anext(in_thread(start))


async def test_a_slow_reader_holds_the_iterator_back() -> None:
    made = []

    def start(gone: Callable[[], bool]) -> Iterator[int]:
        for number in range(10_000):
            made.append(number)
            yield number

    async with aclosing(in_thread(start)) as items:
        assert await anext(items) == 0
        await asyncio.sleep(0.1)
        assert AHEAD <= len(made) <= AHEAD + 2


async def test_leaving_waits_until_the_iterator_is_closed() -> None:
    closed = []

    def start(gone: Callable[[], bool]) -> Iterator[int]:
        try:
            yield 1
            while not gone():
                time.sleep(0.005)
            yield 2
        finally:
            time.sleep(0.05)
            closed.append(gone())

    async with aclosing(in_thread(start)) as items:
        assert await anext(items) == 1
        assert closed == []
    assert closed == [True]


async def test_cancelling_the_reader_closes_the_iterator() -> None:
    closed = threading.Event()

    def start(gone: Callable[[], bool]) -> Iterator[int]:
        try:
            while not gone():
                time.sleep(0.005)
            yield 1
        finally:
            closed.set()

    async def read() -> None:
        async with aclosing(in_thread(start)) as items:
            async for _ in items:
                pass

    reader = asyncio.create_task(read())
    await asyncio.sleep(0.05)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert closed.is_set()


async def test_many_streams_at_once_do_not_wait_for_each_other() -> None:
    together = threading.Barrier(100, timeout=10)

    def start(gone: Callable[[], bool]) -> Iterator[int]:
        yield together.wait()

    async def read() -> list[int]:
        return [item async for item in in_thread(start)]

    answers = await asyncio.gather(*(read() for _ in range(100)))
    assert sorted(item for (item,) in answers) == list(range(100))
