"""Keys and values of a changing batch, in transformers' own Cache.

Rows are aligned at their ends: a row shorter than the batch is padded on the left, where the
attention mask hides it. Buffers have room at the end, so that a step writes one column and copies
nothing; rows are copied only when the batch changes.

Shapes: B rows, H heads, T columns, D width of a head.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

ROOM = 128
"""Columns added at a time; growing copies the buffer."""


class RoomyLayer(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values with room for what comes."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: Any = None
        self.values: Any = None
        self._room: tuple[Any, Any] | None = None

    def update(self, key_states: Any, value_states: Any, *_: Any, **__: Any) -> tuple[Any, Any]:
        """Write new columns; gives all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        if self._room is None or end > self._room[0].shape[-2]:
            self._room = (
                self._roomy(self.keys, key_states, start, end),
                self._roomy(self.values, value_states, start, end),
            )
        keys, values = self._room
        keys[:, :, start:end] = key_states
        values[:, :, start:end] = value_states
        self.keys, self.values = keys[:, :, :end], values[:, :, :end]
        return self.keys, self.values

    @staticmethod
    def _roomy(held: Any, new: Any, start: int, end: int) -> Any:
        rows, heads, _, width = new.shape
        made = new.new_empty(rows, heads, end + ROOM, width)
        if start:
            made[:, :, :start] = held
        return made

    def hold(self, keys: Any, values: Any) -> None:
        """Take finished columns over."""
        self.lazy_initialization(keys, values)
        self.keys, self.values, self._room = keys, values, None


def new_cache(layers: int) -> Any:
    """An empty cache of so many layers."""
    return Cache(layers=[RoomyLayer() for _ in range(layers)])


def can_be_shared(cache: Any) -> bool:
    """Whether a cache that a network made for itself holds nothing but keys and values."""
    plain = (DynamicLayer, DynamicSlidingWindowLayer)
    return type(cache) is DynamicCache and all(type(layer) in plain for layer in cache.layers)


def gathered(parts: Sequence[tuple[Any, Sequence[int]]], width: int) -> Any:
    """A cache of `width` columns with the rows of several, the given ones of each, in order."""
    made = new_cache(len(parts[0][0].layers))
    for number, layer in enumerate(made.layers):
        sources = [(cache.layers[number], rows) for cache, rows in parts]
        layer.hold(
            torch.cat([_fitted(source.keys, rows, width) for source, rows in sources]),
            torch.cat([_fitted(source.values, rows, width) for source, rows in sources]),
        )
    return made


def _fitted(held: Any, rows: Sequence[int], width: int) -> Any:
    """These rows with their last `width` columns, padded on the left where they have fewer."""
    picked = held[list(rows), :, max(0, held.shape[-2] - width) :]
    return torch.nn.functional.pad(picked, (0, 0, width - picked.shape[-2], 0))
