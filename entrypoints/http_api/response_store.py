"""Responses that are kept while the server runs: the newest, up to a size."""

import json
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from domain.errors import Place, fail
from entrypoints.http_api.schema.replies import Reply
from entrypoints.http_api.schema.responses import Item

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
