"""Rewards: one file each; several are weighted and summed.

A file declares

- `Options`: a section, its attribute docstrings are the documentation; `weight` is among them;
- `check(values, place)`: raises HextuneError for options that cannot work, before anything loads;
- `frozen(values, model)`: weights it keeps in memory beside the model's own, a `Frozen`. Raises
  HextuneError where it does not fit the model;
- `build(values, setting)`: a `Reward`, which says what answers are worth.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.rollouts import Answer
from domain.model_handle import ModelHandle

Reward = Callable[[Sequence[Answer]], Sequence[float]]
"""Scores answers, each with its prompt and reference."""

REWARD_ADAPTER = "reward"
"""PEFT's name for the adapter of a reward model on the policy's base."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """What a reward keeps in memory."""

    weights: int = 0
    """Weights beside the model's own."""
    shares_base: bool = False
    """Whether they lie over the model's base, which therefore has to stay as it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a reward is built in."""

    network: Any
    """The policy; a reward may put an adapter of its own on it, switched off."""
    tokenizer: Any
    """The policy's tokenizer."""
    model: ModelHandle
    """The model the policy started from."""
    most_rows: int
    """Answers that go through a network at once."""


@dataclass(frozen=True, slots=True)
class Scored:
    """What answers are worth."""

    total: Sequence[float]
    """The weighted sum of all rewards."""
    parts: Mapping[str, Sequence[float]]
    """Each reward by its name, unweighted, where there are several."""
