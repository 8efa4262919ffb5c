"""Prepare data: aligned rows are encoded, cut, packed and split, with an account of each."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice

from domain.dataset import AlignedDataset, AlignedRow
from domain.errors import HextuneError, Problem
from domain.fingerprint import fingerprint
from domain.masking import EncodedRow
from domain.packing import pack
from domain.prepared import PreparedData, StreamAccount, hold_out
from domain.run_spec import DataSection
from entrypoints.services.align_data import SHOWN_BAD_ROWS, AlignData
from entrypoints.services.encode_rows import (
    Preparation,
    check_kinds,
    encode_sequences,
    joined,
    shortened,
    whole,
)
from entrypoints.services.stream_data import StreamData
from ports.datasets import RowReader
from ports.encoded_cache import EncodedCache
from ports.encoder import ConversationEncoder

CACHE_LAYOUT = 1
"""Number of the way rows become tokens; a change of code that changes tokens raises it."""
CACHED_ROWS = 4096
"""Rows encoded and kept at once: an encoding that was cut off goes on after the last such part."""
STREAMED_SAMPLE = 500
"""Rows of a stream that are encoded while planning, to judge the rest by."""


@dataclass(frozen=True, slots=True)
class PrepareData:
    """From a data section to encoded rows."""

    reader: RowReader
    cache: EncodedCache | None = None
    """Where encoded rows are kept; without it every call encodes anew."""

    def __call__(
        self, data: DataSection, encoder: ConversationEncoder, asked: Preparation
    ) -> PreparedData:
        """Encoded rows. Raises HextuneError with all faults of all files."""
        if data.streaming:
            return self._streamed(data, encoder, asked)
        training, held_out = self.align(data, asked.seed)
        check_kinds((*training.rows, *held_out.rows), asked)
        limit = data.row_limit(asked.context_tokens)
        rows = list(training.rows)[: data.max_samples]
        kept, too_long = shortened(rows, self._encoded(rows, encoder, data), data, limit)
        others = list(held_out.rows)
        others_kept, others_too_long = shortened(
            others, self._encoded(others, encoder, data), data, limit
        )
        train = [row for row, _ in kept]
        evaluation = [row for row, _ in others_kept]
        if data.eval_fraction is not None:
            origins = [origin for _, origin in kept]
            train, evaluation = hold_out(train, origins, data.eval_fraction, asked.seed)
        lengths = [len(row.input_ids) for row in train]
        return PreparedData(
            train=train,
            eval=evaluation,
            rows_read=training.rows_read + held_out.rows_read,
            packs=pack(lengths, limit) if asked.packing else None,
            dropped=[*training.dropped, *held_out.dropped],
            too_long=[*too_long, *others_too_long],
            formats={**training.formats, **held_out.formats},
            fingerprint=fingerprint([training.fingerprint, held_out.fingerprint]),
            template_fingerprint=encoder.template_fingerprint,
        )

    def _streamed(
        self, data: DataSection, encoder: ConversationEncoder, asked: Preparation
    ) -> PreparedData:
        """Held-out rows as ever, the first training rows, and the stream of all of them."""
        others = replace(data, train=(), streaming=False)
        prepared = self(others, encoder, replace(asked, packing=False))
        account = StreamAccount(most_listed=sys.maxsize)
        stream = StreamData(AlignData(self.reader), encoder, data, asked, account)
        once = stream.once(asked.seed)
        first = list(islice(chain.from_iterable(once), STREAMED_SAMPLE))
        lengths = [len(row.input_ids) for row in first]
        seen = fingerprint([list(row.input_ids) for row in first])
        return replace(
            prepared,
            train=first,
            packs=pack(lengths, stream.limit) if asked.packing else None,
            rows_read=prepared.rows_read + stream.account.rows_read,
            dropped=[*prepared.dropped, *stream.account.listed],
            formats={**stream.account.formats, **prepared.formats},
            fingerprint=fingerprint([seen, prepared.fingerprint]),
            stream=replace(stream, account=StreamAccount()),
        )

    def _encoded(
        self, rows: Sequence[AlignedRow], encoder: ConversationEncoder, data: DataSection
    ) -> Sequence[EncodedRow]:
        """Every row encoded, from the cache where it was before. Raises HextuneError for faults."""
        encoded: list[EncodedRow] = []
        problems: list[Problem] = []
        for start in range(0, len(rows), CACHED_ROWS):
            part = rows[start : start + CACHED_ROWS]
            found, faults = self._encoded_part(part, encoder, data)
            encoded += found
            problems += faults
        if problems:
            raise HextuneError(problems[:SHOWN_BAD_ROWS])
        return encoded

    def _encoded_part(
        self, rows: Sequence[AlignedRow], encoder: ConversationEncoder, data: DataSection
    ) -> tuple[Sequence[EncodedRow], list[Problem]]:
        key = fingerprint(
            {
                "layout": CACHE_LAYOUT,
                "rows": [row.row.as_json() for row in rows],
                "tokenizer": encoder.tokenizer_fingerprint,
                "template": encoder.template_fingerprint,
                "train_on": data.train_on,
                "reasoning": data.reasoning,
            }
        )
        standard = [row.row for row in rows]
        kept = self.cache.load(key) if self.cache else None
        sequences = kept if kept is not None else encode_sequences(standard, encoder, data)
        plain = [each for each in sequences if isinstance(each, EncodedRow)]
        if self.cache and kept is None and len(plain) == len(sequences):
            self.cache.keep(key, plain)
        return whole(rows, joined(standard, sequences))

    def check(self, data: DataSection, seed: int) -> None:
        """Read and align every row; of a stream, the first. Raises HextuneError for all faults."""
        if data.streaming:
            rows = AlignData(self.reader).stream(data, seed, StreamAccount())
            list(islice(rows, STREAMED_SAMPLE))
            data = replace(data, train=())
        self.align(data, seed)

    def align(self, data: DataSection, seed: int) -> tuple[AlignedDataset, AlignedDataset]:
        """(training rows, rows of the evaluation sources) in the standard structure."""
        return AlignData(self.reader)(data, seed)
