"""Log-likelihoods through transformers, the common beginning of a group read once.

The tokens all texts of a group begin with go through the network once; their keys and values are
then shared by batches of what is left. So the cost of an exam grows with its questions, and not
with the examples in front of them.

Rows that are scored throughout are batched by length and padded on the right, where a causal
network does not look.

Shapes: B rows of a batch, P tokens of the prefix, T tokens of the longest rest, K scored positions.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import chain, takewhile
from typing import Any

from adapters.engines.transformers import DEVICES
from adapters.models.attaching import attached
from adapters.models.hf import load_network, tokenizer_of
from domain.errors import fail
from domain.hardware import Hardware
from domain.model_handle import ResolvedModel
from domain.precision import PrecisionSection, choose_precision
from domain.sampling import ServedModel
from domain.scoring import ScoredGroup, ScoredTokens

BATCH = 8
"""Rows that go through the network together; more does not pay on a CPU."""
ALIKE = 0.8
"""Shortest row of a batch beside its longest; with five MMLU questions of a subject, taken as they
come, a third of what the network reads would be padding."""
BATCH_TOKENS = 2048
"""Tokens that go through together where every one is scored, as each has a row of logits."""


@dataclass(frozen=True, slots=True)
class _Row:
    """What goes through the network once: one text without its last token."""

    ids: tuple[int, ...]
    asked: list[tuple[int, int, tuple[int, ...]]] = field(default_factory=list)
    """(item, continuation, its tokens) of everything that is scored after these tokens."""

    @property
    def positions(self) -> int:
        """How many of the last positions are scored."""
        return max(len(tokens) for _, _, tokens in self.asked)


class Scorer:
    """Implements ports.scorer.Scorer."""

    def __init__(self, resolved: ResolvedModel, hardware: Hardware) -> None:
        handle = resolved.handle
        network = load_network(handle, dtype=choose_precision(PrecisionSection(), hardware).compute)
        if handle.adapters:
            network = attached(network, handle.adapters)
        self._device = DEVICES.get(hardware.kind, hardware.kind.value)
        self._network = network.to(self._device).eval()
        self._tokenizer = tokenizer_of(handle)
        self._context_tokens = handle.context_tokens
        self._served = {model.name: model for model in resolved.served()}

    def models(self) -> Sequence[ServedModel]:
        """The resolved model, and its base where it has an adapter."""
        return list(self._served.values())

    def score(
        self, group: ScoredGroup, model: str
    ) -> Iterator[tuple[int, tuple[float, ...] | None]]:
        """Items longer than the context first, then the others as their batches are through."""
        self._check(model)
        rows, too_long = self._rows(group)
        return chain(((number, None) for number in too_long), self._score_rows(group, rows, model))

    def score_tokens(self, rows: Sequence[ScoredTokens], model: str) -> Iterator[tuple[int, float]]:
        """Rows of about one length go through the network together, the longest first."""
        self._check(model)
        order = sorted(range(len(rows)), key=lambda n: -len(rows[n].ids))
        while order:
            count = max(1, BATCH_TOKENS // len(rows[order[0]].ids))
            numbers, order = order[:count], order[count:]
            yield from zip(numbers, self._sums([rows[n] for n in numbers], model), strict=True)

    def close(self) -> None:
        """Let the weights go."""
        self._network = None

    def _check(self, model: str) -> None:
        if model not in self._served:
            raise fail("model-not-served", name=model, names=", ".join(self._served))

    @contextmanager
    def _as(self, model: str) -> Iterator[None]:
        """The network answering as `model`: its adapter on, or off for the base under one."""
        import torch

        plain = self._served[model].adapter is None and len(self._served) > 1
        adapter = self._network.disable_adapter() if plain else nullcontext()
        with torch.inference_mode(), adapter:
            yield

    def _rows(self, group: ScoredGroup) -> tuple[list[_Row], list[int]]:
        """(the distinct rows of a group, the longest first; numbers of items that are too long).

        Continuations of one token each are read off one row.
        """
        rows: dict[tuple[int, ...], _Row] = {}
        too_long: list[int] = []
        for number, item in enumerate(group.items):
            before = group.prefix + item.text
            context = self._ids(before.rstrip(" "))
            whole = [self._ids(before + each) for each in item.continuations]
            if not context:
                context, whole = self._start, [self._start + ids for ids in whole]
            if max(map(len, whole)) > self._context_tokens:
                too_long.append(number)
                continue
            for option, ids in enumerate(whole):
                row = rows.setdefault(ids[:-1], _Row(ids[:-1]))
                row.asked.append((number, option, ids[len(context) :]))
        return sorted(rows.values(), key=lambda row: -len(row.ids)), too_long

    @property
    def _start(self) -> tuple[int, ...]:
        """What stands before the first token of a text without context."""
        known = (self._tokenizer.bos_token_id, self._tokenizer.eos_token_id)
        return (next(token for token in known if token is not None),)

    def _ids(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer(text)["input_ids"])

    def _score_rows(
        self, group: ScoredGroup, rows: Sequence[_Row], model: str
    ) -> Iterator[tuple[int, tuple[float, ...]]]:
        found = [[0.0] * len(item.continuations) for item in group.items]
        left = [len(item.continuations) for item in group.items]
        shared = _shared(rows)
        with self._as(model):
            prefix_1P = self._prefix(rows[0].ids[:shared]) if shared else None
        for batch in _batches(rows, shared):
            with self._as(model):
                logps_BKV = self._logps(batch, shared, prefix_1P)
                for logps_KV, row in zip(logps_BKV, batch, strict=True):
                    for item, option, tokens in row.asked:
                        last_KV = logps_KV[-len(tokens) :]
                        scored = last_KV.gather(1, last_KV.new_tensor(tokens).long()[:, None])
                        found[item][option] = float(scored.sum())
                        left[item] -= 1
            ready = dict.fromkeys(item for row in batch for item, _, _ in row.asked)
            yield from ((item, tuple(found[item])) for item in ready if not left[item])

    def _sums(self, rows: Sequence[ScoredTokens], model: str) -> list[float]:
        """Summed log-probabilities of each row's scored tokens; rows are padded on the right."""
        import torch

        width = max(len(row.ids) for row in rows)
        ids_BT = torch.zeros(len(rows), width, dtype=torch.long, device=self._device)
        counted_BT = torch.zeros_like(ids_BT, dtype=torch.bool)
        for number, row in enumerate(rows):
            ids_BT[number, : len(row.ids)] = torch.tensor(row.ids)
            counted_BT[number, : len(row.ids)] = torch.tensor(row.counted)
        with self._as(model):
            logits_BTV = self._network(input_ids=ids_BT, use_cache=False).logits[:, :-1]
            nats_TB = [
                torch.nn.functional.cross_entropy(logits_TV.float(), ids_T[1:], reduction="none")
                for logits_TV, ids_T in zip(logits_BTV, ids_BT, strict=True)
            ]
        return [
            -float(nats_T.double()[counted_T[1:]].sum())
            for nats_T, counted_T in zip(nats_TB, counted_BT, strict=True)
        ]

    def _prefix(self, ids: Sequence[int]) -> Any:
        """Keys and values of the common beginning."""
        import torch

        ids_1P = torch.tensor([ids], device=self._device)
        return self._network(input_ids=ids_1P, use_cache=True, logits_to_keep=1).past_key_values

    def _logps(self, batch: Sequence[_Row], shared: int, prefix: Any) -> Any:
        """Log-probabilities (B, K, V) at the last K positions; rows are padded on the left."""
        import torch

        rests = [row.ids[shared:] for row in batch]
        width = max(map(len, rests))
        ids_BT = torch.tensor([[0] * (width - len(rest)) + list(rest) for rest in rests])
        real_BT = torch.tensor([[0] * (width - len(rest)) + [1] * len(rest) for rest in rests])
        mask = torch.cat([torch.ones(len(batch), shared, dtype=torch.long), real_BT], dim=1)
        cache = None
        if prefix is not None:
            cache = copy.deepcopy(prefix)
            cache.batch_repeat_interleave(len(batch))
        output = self._network(
            input_ids=ids_BT.to(self._device),
            attention_mask=mask.to(self._device),
            position_ids=(shared + real_BT.cumsum(1) - 1).clamp(min=0).to(self._device),
            past_key_values=cache,
            use_cache=cache is not None,
            logits_to_keep=max(row.positions for row in batch),
        )
        return output.logits.float().log_softmax(-1)


def _batches(rows: Sequence[_Row], shared: int) -> Iterator[Sequence[_Row]]:
    """Rows of about one length behind the shared tokens; rows come the longest first."""
    batch: list[_Row] = []
    for row in rows:
        shortest = ALIKE * (len(batch[0].ids) - shared) if batch else 0
        if len(batch) == BATCH or len(row.ids) - shared < shortest:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _shared(rows: Sequence[_Row]) -> int:
    """Tokens all rows begin with, each keeping those whose successors are scored."""
    if not rows:
        return 0
    ids = [row.ids for row in rows]
    pairs = zip(min(ids), max(ids), strict=False)
    common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    return min(common, *(len(row.ids) - row.positions for row in rows))
