"""A drawn token."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Drawn:
    """A token, its log-probability and the likeliest ones, where they were asked for."""

    token: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()
    """(token, log-probability), best first."""
