"""Stretching rotary position embeddings, so that a model reads longer inputs than it was made for.

Sources: position interpolation (linear, Chen et al. 2023), dynamic NTK, YaRN (Peng et al. 2023),
Llama 3.1's bands. The factor is that of LLaMA-Factory's paper (Zheng et al. 2024): the longest
input over the context, rounded up.
"""

from dataclasses import dataclass
from typing import Literal

from domain.section import limited, section

RopeType = Literal["linear", "dynamic", "yarn", "llama3"]

PLAIN = "default"
"""The rope type of a model that is not scaled yet."""
LAYERED = "layered"
"""The rope type of a model whose layers do not share their rotary embeddings."""


@section
class RopeSection:
    """Stretch the rotary position embeddings, for inputs longer than the model's context."""

    type: RopeType
    """How: linear divides all positions; dynamic raises the base as inputs grow; yarn stretches
    slow rotations only; llama3 does so by Llama 3.1's bands."""
    factor: float | None = limited(None, gt=0)
    """How many times longer the context becomes; data.max_tokens over the context, rounded up,
    where not set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RopeScaling:
    """The scaling a model is loaded with."""

    type: RopeType
    """How positions are stretched."""
    factor: float
    """How many times longer the context is, above 1."""
    original_tokens: int
    """The context before."""

    @property
    def tokens(self) -> int:
        """The context after."""
        return int(self.original_tokens * self.factor)


def needed_factor(longest_tokens: int | None, context_tokens: int) -> float:
    """The least whole factor that makes room for the longest input; 1 where there is room."""
    return float(max(1, -(-(longest_tokens or 1) // context_tokens)))
