"""Rows ready to train on, with the account of every row that was read."""

import random
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from domain.fingerprint import Json
from domain.masking import EncodedRow

T = TypeVar("T")

LISTED_ROWS = 20
"""Rows of a stream that are listed one by one; the rest are counted."""


@dataclass(slots=True, kw_only=True)
class StreamAccount:
    """What became of the rows a stream has read so far; it grows while the stream is read."""

    rows_read: int = 0
    """Rows read, each as often as it was read."""
    left_out: int = 0
    """Rows that were unusable or too long."""
    listed: list[str] = field(default_factory=list)
    """One line for each of the first of them: file:line and why."""
    most_listed: int = LISTED_ROWS
    """How many are listed."""
    formats: dict[str, str] = field(default_factory=dict)
    """Name of each source to the format it is read as."""

    def dropped(self, line: str) -> None:
        """Count a row that is left out, and list it if it is among the first."""
        self.left_out += 1
        if len(self.listed) < self.most_listed:
            self.listed.append(line)

    def as_json(self) -> dict[str, Json]:
        """Plain JSON values."""
        return {
            "rows_read": self.rows_read,
            "left_out": self.left_out,
            "listed": list(self.listed),
        }


class EncodedStream(Protocol):
    """Training sequences without an end: after the last row the first comes again."""

    @property
    def limit(self) -> int:
        """Longest sequence, in tokens."""

    @property
    def account(self) -> StreamAccount:
        """What became of the rows read so far."""

    def __iter__(self) -> Iterator[Sequence[EncodedRow]]:
        """The rows of each sequence: one, or several that are packed. Iterating anew begins anew,
        with the same sequences in the same order."""


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
    stream: EncodedStream | None = None
    """Where the training rows come from when they are streamed; `train` then holds the first ones,
    to judge the rest by."""

    @property
    def sequences(self) -> int:
        """Training sequences: packs, or rows without packing."""
        return len(self.train if self.packs is None else self.packs)

    @property
    def longest(self) -> int:
        """Tokens of the longest sequence; of a stream, of the longest it may hold."""
        if self.stream is not None:
            return self.stream.limit
        single = max((row.longest for row in (*self.train, *self.eval)), default=0)
        packed = (sum(len(self.train[n].input_ids) for n in pack) for pack in self.packs or ())
        return max(single, max(packed, default=0))

    @property
    def train_tokens(self) -> int:
        """Tokens in one pass over the training rows, padding not counted."""
        return sum(row.tokens for row in self.train)

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
