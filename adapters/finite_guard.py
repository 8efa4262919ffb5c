"""The guard before every optimizer step: a gradient that is not finite names the rows it came from.

It looks before the weights are touched. The rows are found by their tokens, which are final before
training, so neither shuffling nor packing has to be followed.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any

from transformers import TrainerCallback

from domain.errors import HextuneError, fail
from domain.masking import EncodedRow
from domain.prepared import PreparedData
from ports.trainer import TrainRequest

SHOWN_ROWS = 8
"""Rows that are named; the rest are counted."""


class FiniteGuard(TrainerCallback):  # type: ignore[misc]
    """Remembers what the passes of a step read, and judges the gradient they add up to."""

    def __init__(self, request: TrainRequest) -> None:
        self._request = request
        self._passes: list[dict[str, Any]] = []
        self._hook: Any = None

    def on_train_begin(
        self, args: Any, state: Any, control: Any, model: Any = None, **rest: Any
    ) -> None:
        """Listen to the model."""
        self._hook = model.register_forward_pre_hook(self._note, with_kwargs=True)

    def on_train_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Stop listening."""
        self._hook.remove()

    def on_step_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """A step's passes are its own."""
        self._passes.clear()

    def on_pre_optimizer_step(
        self, args: Any, state: Any, control: Any, model: Any = None, **rest: Any
    ) -> None:
        """Raise HextuneError for a gradient that is not finite.

        With float16 it may overflow now and then: its scaler leaves such steps out.
        """
        import torch

        found = [weight.grad for weight in model.parameters() if weight.grad is not None]
        if not found or args.fp16:
            return
        norm = float(torch.nn.utils.get_total_norm(found))
        if not math.isfinite(norm):
            raise self.error(norm, int(state.global_step) + 1)

    def error(self, value: float, step: int) -> HextuneError:
        """The user's error for a step that is not finite."""
        ids = dict.fromkeys(chain.from_iterable(map(_sequences, self._passes)))
        names = list(dict.fromkeys(_places(self._request, step).get(each, "?") for each in ids))
        shown = ", ".join(names[:SHOWN_ROWS]) or "not known"
        if len(names) > SHOWN_ROWS:
            shown += f" and {len(names) - SHOWN_ROWS} more"
        return fail("run-loss-not-finite", loss=value, step=step, rows=shown)

    def _note(self, module: Any, arguments: Any, named: dict[str, Any]) -> None:
        import torch

        if torch.is_grad_enabled() and "input_ids" in named:
            self._passes.append(named)


def _sequences(read: dict[str, Any]) -> Iterator[tuple[int, ...]]:
    """The rows in a pass, without padding; packed ones begin where positions start anew."""
    ids_BT, mask_BT = read["input_ids"], read.get("attention_mask")
    if mask_BT is not None:
        for ids_T, mask_T in zip(ids_BT, mask_BT, strict=True):
            yield tuple(ids_T[mask_T.bool()].tolist())
    elif read.get("position_ids") is not None:
        starts = (read["position_ids"][0] == 0).nonzero()[:, 0].tolist()
        ids = ids_BT[0].tolist()
        for start, end in zip(starts, [*starts[1:], len(ids)], strict=True):
            yield tuple(ids[start:end])
    else:
        yield from map(tuple, ids_BT.tolist())


def _places(request: TrainRequest, step: int) -> dict[tuple[int, ...], str]:
    """Tokens of every row that may have been read until `step`, with where it stands."""
    batching = request.spec.batching
    sequences = step * batching.per_device * batching.accumulate
    rows = _rows(request.data, sequences)
    return {each.input_ids: row.place for row in rows for each in row.sequences}


def _rows(data: PreparedData, sequences: int) -> Sequence[EncodedRow]:
    if data.stream is None:
        return data.train
    return list(chain.from_iterable(islice(data.stream, sequences)))
