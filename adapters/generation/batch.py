"""Answers of one adapter that take their steps together, joining and leaving between steps.

transformers' own continuous batching (`generate_batch`) gives no seed, mask, penalty or adapter to
a single request, so this loop over `forward` stands in its place. Rows end at the same column:
shorter ones are padded on the left, masked, with positions counted from their own beginning.

A network that keeps more than keys and values (a state-space model) takes its rows one at a time.

Shapes: B rows, T columns, L tokens fed, V tokens of the vocabulary.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from adapters.generation.drawing import Drawing, scored
from adapters.generation.drawn import Drawn
from adapters.generation.kv_cache import can_be_shared, gathered, new_cache
from adapters.generation.mailbox import Mailbox

CHUNK = 512
"""Prompt tokens that are scored at once, as each has a row of logits."""


@dataclass(slots=True, kw_only=True)
class Row:
    """One answer in the making."""

    ids: Sequence[int]
    """The prompt."""
    limit: int
    """Tokens the answer may have."""
    ends: frozenset[int]
    """Tokens that end it."""
    drawing: Drawing
    mailbox: Mailbox
    scores: int | None = None
    """Alternatives to tell beside each token of the prompt; None scores none."""
    drawn: int = 0
    last: int = -1

    @property
    def done(self) -> bool:
        """Whether no further token is wanted."""
        return self.mailbox.cancelled or self.drawn >= self.limit or self.last in self.ends

    def take(self, drawn: Drawn) -> None:
        """Hand a token over."""
        self.drawn += 1
        self.last = drawn.token
        self.mailbox.put(drawn)


@dataclass(frozen=True, slots=True)
class Stepper:
    """Runs a network over rows and caches."""

    network: Any
    device: str
    layers: int
    takes_positions: bool
    shared: bool
    """Whether rows can stand in one cache."""

    def forward(self, ids: Any, mask: Any, cache: Any, keep: int) -> tuple[Any, Any]:
        """(logits of the last `keep` positions, 0 for all; the cache)."""
        positions_BT = (mask.cumsum(1) - 1).clamp(min=0)
        positions = {"position_ids": positions_BT[:, -ids.shape[1] :]}
        output = self.network(
            input_ids=ids,
            attention_mask=mask,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=keep,
            **(positions if self.takes_positions else {}),
        )
        return output.logits, output.past_key_values

    def empty(self) -> Any:
        """A cache to begin with; one the network makes itself where rows cannot share one."""
        return new_cache(self.layers) if self.shared else None


def stepper_of(network: Any, device: str) -> Stepper:
    """What runs a network, which is asked what it keeps and takes."""
    with torch.inference_mode():
        probe_11 = torch.zeros(1, 1, dtype=torch.long, device=device)
        cache = network(input_ids=probe_11, use_cache=True).past_key_values
    shared = can_be_shared(cache)
    takes_positions = "position_ids" in inspect.signature(network.forward).parameters
    return Stepper(network, device, len(cache.layers) if shared else 0, takes_positions, shared)


@dataclass(slots=True)
class Batch:
    """The answers of one adapter."""

    stepper: Stepper
    rows: list[Row] = field(default_factory=list)
    cache: Any = None
    mask: Any = None

    @property
    def room(self) -> int | None:
        """Rows that may still join; None for any number."""
        return None if self.stepper.shared else 1 - len(self.rows)

    def join(self, rows: Sequence[Row]) -> None:
        """Read the prompts of new rows, draw their first tokens, and take them in."""
        width = max(len(row.ids) for row in rows)
        ids = torch.tensor([[0] * (width - len(row.ids)) + list(row.ids) for row in rows])
        real = torch.tensor([[0] * (width - len(row.ids)) + [1] * len(row.ids) for row in rows])
        device = self.stepper.device
        ids, real = ids.to(device), real.to(device)
        if rows[0].scores is not None:
            logits, cache = self._scored(rows[0], ids, real)
        else:
            logits_B1V, cache = self.stepper.forward(ids, real, self.stepper.empty(), 1)
            logits = logits_B1V[:, -1]
        fresh = [number for number, row in enumerate(rows) if not row.done]
        self._draw([rows[n] for n in fresh], logits[fresh])
        self._take_in(rows, cache, real)

    def step(self) -> None:
        """One token for every row; rows that are done leave first."""
        self._leave()
        if not self.rows:
            return
        ids_B1 = torch.tensor([[row.last] for row in self.rows], device=self.stepper.device)
        self.mask = torch.nn.functional.pad(self.mask, (0, 1), value=1)
        logits_B1V, self.cache = self.stepper.forward(ids_B1, self.mask, self.cache, 1)
        self._draw(self.rows, logits_B1V[:, -1])
        self._leave()

    def _scored(self, row: Row, ids: Any, real: Any) -> tuple[Any, Any]:
        """(logits after the prompt, the cache), and the prompt's log-probabilities told."""
        cache, last_V = self.stepper.empty(), None
        told: list[Drawn] = []
        for start in range(0, ids.shape[1], CHUNK):
            end = start + CHUNK
            logits_1LV, cache = self.stepper.forward(ids[:, start:end], real[:, :end], cache, 0)
            logps_LV = logits_1LV[0].float().log_softmax(-1)
            before = [last_V, *logps_LV[:-1]]
            for token, logps_V in zip(row.ids[start:end], before, strict=True):
                told.append(
                    Drawn(token) if logps_V is None else scored(logps_V, token, row.scores or 0)
                )
            last_V = logps_LV[-1]
        row.mailbox.put(told)
        return logits_1LV[:, -1], cache

    def _draw(self, rows: Sequence[Row], logits: Any) -> None:
        if all(row.drawing.plain for row in rows):
            for row, token in zip(rows, logits.argmax(-1).tolist(), strict=True):
                row.take(Drawn(token))
            return
        for row, logits_V in zip(rows, logits, strict=True):
            row.take(row.drawing.draw(logits_V))

    def _take_in(self, rows: Sequence[Row], cache: Any, real: Any) -> None:
        if not self.rows:
            self.rows, self.cache, self.mask = list(rows), cache, real
        else:
            width = max(self.mask.shape[1], real.shape[1])
            masks = [
                torch.nn.functional.pad(each, (width - each.shape[1], 0))
                for each in (self.mask, real)
            ]
            parts = [(self.cache, range(len(self.rows))), (cache, range(len(rows)))]
            self.cache = gathered(parts, width)
            self.mask = torch.cat(masks)
            self.rows = [*self.rows, *rows]
        self._leave()

    def _leave(self) -> None:
        """Rows that are done leave, and columns that none of the others needs."""
        kept = [number for number, row in enumerate(self.rows) if not row.done]
        if len(kept) == len(self.rows):
            return
        for row in self.rows:
            if row.done:
                row.mailbox.end()
        self.rows = [self.rows[number] for number in kept]
        if not kept:
            self.cache = self.mask = None
            return
        width = int(self.mask[kept].sum(1).max())
        self.cache = gathered([(self.cache, kept)], width)
        self.mask = self.mask[kept, -width:]
