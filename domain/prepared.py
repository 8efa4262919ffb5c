"""Rows ready to train on, with the account of every row that was read."""

import random
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from domain.masking import EncodedRow

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedData:
    """Encoded training and held-out rows."""

    train: Sequence[EncodedRow]
    """Training rows in file order; the trainer shuffles them by the seed."""
    eval: Sequence[EncodedRow]
    """Held-out rows."""
    rows_read: int
    """Rows in all files."""
    packs: Sequence[Sequence[int]] | None
    """Numbers of the training rows in each packed sequence; None without packing."""
    dropped: Sequence[str]
    """One line for each unusable row left out: file:line column and reason."""
    too_long: Sequence[str]
    """One line for each row that was longer than the limit: file:line, tokens, what became."""
    formats: Mapping[str, str]
    """Path of each source to the format it was read as."""
    fingerprint: str
    """SHA-256 over the aligned conversations."""
    template_fingerprint: str
    """SHA-256 of the chat template that rendered them."""

    @property
    def sequences(self) -> int:
        """Training sequences: packs, or rows without packing."""
        return len(self.train if self.packs is None else self.packs)

    @property
    def longest(self) -> int:
        """Tokens of the longest sequence."""
        single = max((len(row.input_ids) for row in (*self.train, *self.eval)), default=0)
        packed = (sum(len(self.train[n].input_ids) for n in pack) for pack in self.packs or ())
        return max(single, max(packed, default=0))

    @property
    def train_tokens(self) -> int:
        """Tokens in one pass over the training rows, padding not counted."""
        return sum(len(row.input_ids) for row in self.train)

    @property
    def trained_tokens(self) -> int:
        """Tokens in one pass that carry a loss."""
        return sum(row.trained_tokens for row in self.train)


def hold_out(
    rows: Sequence[T], origins: Sequence[Hashable], fraction: float, seed: int
) -> tuple[list[T], list[T]]:
    """(training rows, held-out rows): at least one row each where there are two, order kept.

    Rows of one origin stay together, be they pieces of a long row or a row that was drawn twice:
    what is held out is never trained on.
    """
    distinct = list(dict.fromkeys(origins))
    count = min(max(1, round(len(distinct) * fraction)), max(len(distinct) - 1, 0))
    chosen = set(random.Random(seed).sample(distinct, count))
    placed = list(zip(rows, origins, strict=True))
    training = [row for row, origin in placed if origin not in chosen]
    return training, [row for row, origin in placed if origin in chosen]
