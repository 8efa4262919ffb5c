"""Prepare data: aligned rows are encoded, cut, packed and split, with an account of each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from domain.conversation import Conversation
from domain.cutting import shorten
from domain.dataset import AlignedDataset, AlignedRow, DatasetKind, StandardRow
from domain.errors import HextuneError, Place, Problem, fail, problem
from domain.fingerprint import fingerprint
from domain.masking import EncodedRow, TrainOn
from domain.packing import pack
from domain.prepared import PreparedData, hold_out
from domain.run_spec import BatchingSection, DataSection
from entrypoints.services.align_data import SHOWN_BAD_ROWS, AlignData
from ports.datasets import RowReader
from ports.encoded_cache import EncodedCache
from ports.encoder import ConversationEncoder

CACHE_LAYOUT = 1
"""Number of the way rows become tokens; a change of code that changes tokens raises it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """What a stage, a model and a spec ask of the rows."""

    stage: str
    """The stage's name, for messages."""
    eats: DatasetKind
    """The kind of rows it trains on."""
    context_tokens: int
    """The model's context."""
    batching: BatchingSection
    """Whether rows are packed."""
    seed: int
    """Seed of drawing, mixing and holding out."""


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
        training, held_out = self.align(data, asked.seed)
        _check_kinds((training, held_out), asked)
        limit = data.row_limit(asked.context_tokens)
        rows = list(training.rows)[: data.max_samples]
        kept, too_long = _shorten(rows, self._encoded(rows, encoder, data), data, limit)
        others = list(held_out.rows)
        others_kept, others_too_long = _shorten(
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
            packs=pack(lengths, limit) if asked.batching.packing else None,
            dropped=[*training.dropped, *held_out.dropped],
            too_long=[*too_long, *others_too_long],
            formats={**training.formats, **held_out.formats},
            fingerprint=fingerprint([training.fingerprint, held_out.fingerprint]),
            template_fingerprint=encoder.template_fingerprint,
        )

    def _encoded(
        self, rows: list[AlignedRow], encoder: ConversationEncoder, data: DataSection
    ) -> Sequence[EncodedRow]:
        """Every row encoded, from the cache where it was before. Raises HextuneError for faults."""
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
        kept = self.cache.load(key) if self.cache else None
        if kept is not None:
            return kept
        encoded = _whole(rows, encode_rows([row.row for row in rows], encoder, data))
        if self.cache and encoded:
            self.cache.keep(key, encoded)
        return encoded

    def check(self, data: DataSection, seed: int) -> None:
        """Read and align every row. Raises HextuneError with all faults of all files."""
        self.align(data, seed)

    def align(self, data: DataSection, seed: int) -> tuple[AlignedDataset, AlignedDataset]:
        """(training rows, rows of the evaluation sources) in the standard structure."""
        return AlignData(self.reader)(data, seed)


def _check_kinds(datasets: Sequence[AlignedDataset], asked: Preparation) -> None:
    for dataset in datasets:
        for row in dataset.rows:
            if row.row.kind is not asked.eats:
                raise fail(
                    "data-kind-unfit",
                    Place(file=row.file, line=row.line),
                    stage=asked.stage,
                    eats=asked.eats.value,
                    path=row.file,
                    kind=row.row.kind.value,
                )


def encode_rows(
    rows: Sequence[StandardRow], encoder: ConversationEncoder, data: DataSection
) -> Sequence[EncodedRow | HextuneError]:
    """Each row's tokens and labels as the stage sees them, before any cut."""
    if rows and rows[0].kind is DatasetKind.TEXT:
        return encoder.encode_texts([row.text for row in rows])
    shown = [row for row in rows if not row.media]
    conversations = [_reasoned(row.conversation(), data) for row in shown]
    encoded = iter(encoder.encode_all(conversations, TrainOn(data.train_on)))
    return [
        fail("data-media-unsupported", count=len(row.media)) if row.media else next(encoded)
        for row in rows
    ]


def _reasoned(conversation: Conversation, data: DataSection) -> Conversation:
    """The conversation with its reasoning kept or left out, as the spec says."""
    if data.reasoning == "keep":
        return conversation
    messages = tuple(replace(message, reasoning=None) for message in conversation.messages)
    return replace(conversation, messages=messages)


def _whole(
    rows: list[AlignedRow], encoded: Sequence[EncodedRow | HextuneError]
) -> list[EncodedRow]:
    """The encoded rows. Raises HextuneError with the places of those that have none."""
    whole = [found for found in encoded if isinstance(found, EncodedRow)]
    problems = [
        replace(each, place=Place(file=row.file, line=row.line))
        for row, found in zip(rows, encoded, strict=True)
        if isinstance(found, HextuneError)
        for each in found.problems
    ]
    if problems:
        raise HextuneError(problems[:SHOWN_BAD_ROWS])
    return whole


def _shorten(
    rows: list[AlignedRow], encoded: Sequence[EncodedRow], data: DataSection, limit: int
) -> tuple[list[tuple[EncodedRow, str]], list[str]]:
    """(rows of at most `limit` tokens with their places, one line for each that was longer)."""
    kept: list[tuple[EncodedRow, str]] = []
    too_long: list[str] = []
    problems: list[Problem] = []
    for row, found in zip(rows, encoded, strict=True):
        place = Place(file=row.file, line=row.line)
        tokens = len(found.input_ids)
        if tokens <= limit:
            kept.append((found, str(place)))
        elif data.over_long == "error":
            problems.append(problem("data-row-too-long", place, tokens=tokens, limit=limit))
        else:
            pieces = shorten(found, limit, data.over_long)
            kept += [(piece, str(place)) for piece in pieces]
            became = f"{data.over_long}, {len(pieces)} kept" if pieces else "dropped"
            too_long.append(f"{row.file}:{row.line} {tokens} tokens, {became}")
    if problems:
        raise HextuneError(problems[:SHOWN_BAD_ROWS])
    return kept, too_long
