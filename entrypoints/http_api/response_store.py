"""Responses that are kept while the server runs: the newest, up to a size."""

import json
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from domain.errors import Place, fail
from domain.sampling import TextDelta
from entrypoints.http_api.schema.replies import Reply
from entrypoints.http_api.schema.response_replies import ResponseEvents
from entrypoints.http_api.schema.responses import Item, ResponseBody

LIMIT_BYTES = 64 * 1024**2
"""Room for all of them, as JSON text."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A response, and every item that stood before and in it."""

    reply: Reply
    items: list[Item]
    size_bytes: int


@dataclass(slots=True)
class ResponseStore:
    """Keeps responses in memory; the event loop alone touches it."""

    limit_bytes: int = LIMIT_BYTES
    _kept: OrderedDict[str, Kept] = field(default_factory=OrderedDict)
    _size_bytes: int = 0

    def add(self, reply: dict[str, Any], items: list[Item]) -> None:
        """Keep one more; the oldest go where there is no room."""
        size_bytes = len(json.dumps([reply, items]))
        self._kept[str(reply["id"])] = Kept(reply, items, size_bytes)
        self._size_bytes += size_bytes
        while self._size_bytes > self.limit_bytes:
            _, oldest = self._kept.popitem(last=False)
            self._size_bytes -= oldest.size_bytes

    def get(self, id: str, field: str | None = None) -> Kept:
        """A kept one. Raises HextuneError where there is none."""
        found = self._kept.get(id)
        if found is None:
            raise fail("response-missing", Place(field=field), id=id)
        return found

    def remove(self, id: str) -> None:
        """Forget one. Raises HextuneError where there is none."""
        self._size_bytes -= self.get(id).size_bytes
        del self._kept[id]


@dataclass(slots=True)
class KeptEvents:
    """Implements sse.NumberedChunking: the events of a response, which is kept at its end."""

    events: ResponseEvents
    before: list[Item]
    store: ResponseStore = field(repr=False)

    def next_number(self) -> int:
        """The number of the event that comes next."""
        return self.events.next_number()

    def of(self, index: int, delta: TextDelta) -> Iterator[Reply]:
        """The events of one piece."""
        return self.events.of(index, delta)

    def last(self) -> Iterator[Reply]:
        """The last event, once the response is kept."""
        self.keep()
        return self.events.last()

    def take(self, delta: TextDelta) -> None:
        """Add one piece, where nobody is told of events."""
        for _ in self.events.of(0, delta):
            pass

    def keep(self) -> dict[str, Any]:
        """The whole response, which is kept where it is wanted."""
        reply = dict(self.events.response())
        if self.events.body.store is not False:
            self.store.add(reply, [*self.before, *given(self.events.body), *self.events.output])
        return reply


def given(body: ResponseBody) -> list[Item]:
    """The items of a request."""
    return [item.model_dump(exclude_none=True) for item in body.input]
