"""Optimizers: one file each.

A file declares

- `Options`: a section, its attribute docstrings are the documentation; `learning_rate` is among
  them;
- `NEEDS`: what a run must have for it to make sense: `whole_weights`, as low-rank adapters are small
  already, or `constant_rate`, as it brings its own schedule;
- `check()`: raises HextuneError where its package is missing;
- `states(values, model, trainable)`: how many numbers it keeps for a model of which `trainable`
  weights learn, and the bytes of each, None for the dtype the plan gives optimizer states;
- `build(values, weights)`: the torch optimizer over the weights that learn.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Weight:
    """A weight that learns."""

    name: str
    """Its path in the network."""
    tensor: Any
    """The parameter."""
    rate: float
    """What its learning rate is multiplied by."""


def parameter_groups(
    weights: Iterable[Weight], *, learning_rate: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Groups of weights with one learning rate and decay; biases and norms are not decayed."""
    groups: dict[tuple[float, bool], list[Any]] = {}
    for weight in weights:
        groups.setdefault((weight.rate, weight.tensor.ndim > 1), []).append(weight.tensor)
    return [
        {
            "params": tensors,
            "lr": learning_rate * rate,
            "weight_decay": weight_decay if decays else 0.0,
        }
        for (rate, decays), tensors in groups.items()
    ]


def split_matrices(
    weights: Sequence[Weight], parts: Sequence[str]
) -> tuple[list[Weight], list[Weight]]:
    """(matrices inside a module with one of these names, everything else)."""

    def chosen(weight: Weight) -> bool:
        inside = set(weight.name.split("."))
        return weight.tensor.ndim == 2 and any(part in inside for part in parts)

    found = [weight for weight in weights if chosen(weight)]
    return found, [weight for weight in weights if not chosen(weight)]
