"""Scoring: how likely a model finds given texts, which exams and perplexity are made of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredItem:
    """A text with several ways to go on."""

    text: str
    """What follows the group's prefix."""
    continuations: tuple[str, ...]
    """The texts whose likelihood is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredGroup:
    """Items that begin alike: their common beginning is read once."""

    prefix: str
    """What every item begins with; it may be empty."""
    items: Sequence[ScoredItem]
    """What follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredTokens:
    """Tokens some of which are scored, each after all that stand before it."""

    ids: tuple[int, ...]
    """The tokens."""
    counted: tuple[bool, ...]
    """Whether each is scored; the first never is, as nothing stands before it."""


def windows(
    ids: Sequence[int], counted: Sequence[bool], window: int, stride: int
) -> Iterator[ScoredTokens]:
    """A row cut into overlapping windows, each token scored in the first window that holds it.

    A window is at most `window` tokens and begins `stride` after the one before, so that a token
    that is no longer in reach of the beginning has at least window - stride tokens before it.
    Windows without a scored token are left out. `stride` is less than `window`.
    """
    scored = 1
    for start in range(0, len(ids), stride):
        end = min(start + window, len(ids))
        flags = [start + n >= scored and counted[start + n] for n in range(end - start)]
        if any(flags):
            yield ScoredTokens(ids=tuple(ids[start:end]), counted=tuple(flags))
        scored = end
        if end == len(ids):
            return
