"""Stream data: training rows are read, encoded and packed while they are asked for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, islice

from domain.dataset import AlignedRow
from domain.errors import HextuneError, Place, fail
from domain.masking import EncodedRow
from domain.mixing import shuffled
from domain.packing import pack
from domain.prepared import StreamAccount
from domain.run_spec import DataSection
from entrypoints.services.align_data import AlignData
from entrypoints.services.encode_rows import (
    Preparation,
    check_kinds,
    encode_rows,
    shortened,
    whole,
)
from ports.encoder import ConversationEncoder

WINDOW_ROWS = 512
"""Rows encoded, and packed together, at once."""


@dataclass(frozen=True, slots=True)
class StreamData:
    """Implements domain.prepared.EncodedStream.

    Every pass over the rows shuffles and mixes by a seed of its own. What comes is a function of
    the files and the spec alone, so that a resumed run skips what it has seen and goes on exactly.
    """

    align: AlignData
    encoder: ConversationEncoder
    data: DataSection
    asked: Preparation
    account: StreamAccount = field(default_factory=StreamAccount)

    @property
    def limit(self) -> int:
        """Longest sequence, in tokens."""
        return self.data.row_limit(self.asked.context_tokens)

    def __iter__(self) -> Iterator[Sequence[EncodedRow]]:
        """Sequences without an end. Raises HextuneError for a faulty row when it is reached."""
        for number in count():
            empty = True
            for rows in self.once(self.asked.seed + number):
                empty = False
                yield rows
            if empty:
                names = ", ".join(source.name for source in self.data.train)
                raise fail("data-no-rows", Place(file=names), path=names)

    def once(self, seed: int) -> Iterator[Sequence[EncodedRow]]:
        """The sequences of one pass over all rows."""
        mixed = islice(self.align.stream(self.data, seed, self.account), self.data.max_samples)
        rows = shuffled(mixed, self.data.shuffle_buffer, seed)
        while window := list(islice(rows, WINDOW_ROWS)):
            kept = self._encoded(window)
            if self.asked.packing:
                packs = pack([len(row.input_ids) for row in kept], self.limit)
                yield from ([kept[number] for number in numbers] for numbers in packs)
            else:
                yield from ([row] for row in kept)

    def _encoded(self, window: Sequence[AlignedRow]) -> list[EncodedRow]:
        check_kinds(window, self.asked)
        outcomes = encode_rows([row.row for row in window], self.encoder, self.data)
        encoded, problems = whole(window, outcomes)
        if problems:
            raise HextuneError(problems)
        kept, too_long = shortened(window, encoded, self.data, self.limit)
        for line in too_long:
            self.account.dropped(line)
        return [row for row, _ in kept]
