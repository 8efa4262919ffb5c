"""Fine-tuning methods: one file each.

A file declares

- `Options`: a section, its attribute docstrings are the documentation;
- `ADAPTER_BASED`: whether the result is an adapter beside untouched base weights;
- `ADDS_WEIGHTS`: whether the weights that learn come on top of the model's own;
- `trainable(values, model)`: how many weights learn, exactly. Raises HextuneError for options that
  contradict each other or the model;
- `start(values, model)`: what it begins with, a `Start`;
- `prepare(values, model, network)`: the network with only those weights learning, a `Tuned`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from domain.masking import EncodedRow


def _same_rate(name: str) -> float:
    return 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a method begins with; rules and plans read it before anything is loaded."""

    over_packed: bool = True
    """Whether it trains over weights a quantizer has packed."""
    changes_base: bool = False
    """Whether `prepare` changes the base weights, so that they can neither be packed nor serve as
    a reference model."""
    needs_packed: bool = False
    """Whether it makes sense only over weights a quantizer has packed."""
    reads_packed: bool = False
    """Whether it unpacks the weights in each step, where a quantizer has packed them."""
    tokens: int = 0
    """Trained tokens its first values are computed from, at the least; 0 where none are looked
    at."""
    continues: bool = False
    """Whether the last of the model's adapters learns on; otherwise all are merged first."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """A network of which only a method's weights learn."""

    network: Any
    """The torch module."""
    rate: Callable[[str], float] = _same_rate
    """What the learning rate is multiplied by for a weight of this name."""
    save: Callable[[str], None] | None = None
    """Writes the result into a folder; where None, the trainer saves the network as it is."""
    begin: Callable[[Sequence[EncodedRow]], None] | None = None
    """Computes first values from training rows, before the first step and not on resume."""
    callbacks: Sequence[Any] = ()
    """transformers' callbacks that go with it."""
