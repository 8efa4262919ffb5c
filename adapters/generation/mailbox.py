"""Between the thread that makes tokens and the one that reads an answer."""

import queue
import threading
from collections.abc import Iterator
from typing import Any

END = object()


class Mailbox:
    """The tokens of one answer, in order; prompt scores come as one list before them."""

    def __init__(self) -> None:
        self._items: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._cancelled = threading.Event()

    @property
    def cancelled(self) -> bool:
        """Whether nobody wants the rest."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Say that the rest is not wanted; its row is free at the next step."""
        self._cancelled.set()

    def put(self, item: object) -> None:
        """Hand a token, or the scores of the prompt, to the reader."""
        self._items.put(item)

    def fail(self, error: BaseException) -> None:
        """End the answer with an error, which the reader raises."""
        self._items.put(error)

    def end(self) -> None:
        """No more will come."""
        self._items.put(END)

    def __iter__(self) -> Iterator[Any]:
        while (item := self._items.get()) is not END:
            if isinstance(item, BaseException):
                raise item
            yield item
