"""Packed checkpoints: how they shall be packed, who writes them, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from domain.hardware import Hardware


@dataclass(frozen=True, slots=True, kw_only=True)
class PackReport:
    """How far a packed, re-read model is from the one it was made of, on fixed prompts."""

    mean_kl: float
    """Mean KL divergence of the next-token distributions, in nats."""
    agreement: float
    """Share of the positions with the same likeliest token."""
    tokens: int
    """Positions compared."""
    size_bytes: int
    """Bytes of the packed weights on disk."""
    plain_bytes: int
    """Bytes of the weights as the model stores them."""
    folder: str
    """Where they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """How a checkpoint shall be packed."""

    bits: int = 4
    """Bits of a packed weight."""
    group_size: int = 128
    """Weights that share a scale, where the format leaves it open."""


class CheckpointPacker(Protocol):
    """Writes packed checkpoints of one format."""

    calibrated: bool
    """Whether it looks at texts to lose little."""

    def check(self, asked: Packing, hardware: Hardware) -> None:
        """Raises HextuneError where the format, the library or the machine is not fit."""

    def settings(self, asked: Packing, texts: Sequence[str]) -> object:
        """What a ModelBackend takes to pack weights, calibrated on `texts`."""
