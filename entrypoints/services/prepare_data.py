"""Read, align, mix, encode, cut, pack and split the rows of a spec, with an account of each."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from domain.alignment import align, detect_format, holds_ranking
from domain.conversation import Conversation
from domain.cutting import cut_left, cut_right, learns, split
from domain.dataset import (
    AlignedDataset,
    AlignedRow,
    DatasetKind,
    DataSource,
    LocatedRow,
    RowFault,
    StandardRow,
)
from domain.errors import HextuneError, Place, Problem, fail, problem
from domain.fingerprint import fingerprint
from domain.masking import EncodedRow, TrainOn
from domain.mixing import draw, mix
from domain.packing import pack
from domain.prepared import PreparedData, hold_out
from domain.run_spec import BatchingSection, DataSection
from ports.datasets import RowReader
from ports.encoded_cache import EncodedCache
from ports.encoder import ConversationEncoder

CACHE_LAYOUT = 1
"""Number of the way rows become tokens; a change of code that changes tokens raises it."""
SHOWN_BAD_ROWS = 20
"""Bad rows of one file that are reported one by one; the rest are counted."""


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
        problems: list[Problem] = []
        datasets: list[AlignedDataset] = []
        for key, sources in (("train", data.train), ("eval", data.eval)):
            try:
                datasets.append(self._align_all(sources, data, f"data.{key}", seed))
            except HextuneError as error:
                problems += error.problems
        if problems:
            raise HextuneError(problems)
        training, held_out = datasets
        return training, held_out

    def _align_all(
        self, sources: tuple[DataSource, ...], data: DataSection, key: str, seed: int
    ) -> AlignedDataset:
        found: list[list[AlignedRow]] = []
        faults: list[tuple[LocatedRow, RowFault]] = []
        problems: list[Problem] = []
        formats: dict[str, str] = {}
        usable = 0
        for number, source in enumerate(sources):
            try:
                rows, wrong, formats[source.name] = self._align_source(source)
            except HextuneError as error:
                field = f"{key}.{number}.{'hub' if source.hub else 'path'}"
                problems += [_at_field(each, field) for each in error.problems]
                continue
            faults += wrong
            usable += len(rows)
            if not rows and not wrong:
                place = Place(file=source.name)
                problems.append(problem("data-no-rows", place, path=source.name))
            found.append(draw(rows, source.num_samples, source.sample, seed + number))
        if data.on_bad_row == "error":
            problems += _row_problems(faults)
        if problems:
            raise HextuneError(problems)
        rows = mix(found, [source.weight for source in sources], data.mix, seed)
        return AlignedDataset(
            kind=rows[0].row.kind if rows else DatasetKind.CONVERSATION,
            rows=rows,
            fingerprint=fingerprint([row.row.as_json() for row in rows]),
            formats=formats,
            rows_read=usable + len(faults),
            dropped=[f"{row.file}:{row.line} {bad.field}: {bad.reason}" for row, bad in faults],
        )

    def _align_source(
        self, source: DataSource
    ) -> tuple[list[AlignedRow], list[tuple[LocatedRow, RowFault]], str]:
        """(rows, faults, the format they were read as)."""
        format: str = source.format
        rows: list[AlignedRow] = []
        faults: list[tuple[LocatedRow, RowFault]] = []
        for row in self.reader.read(source):
            if format == "auto":
                format = _format_of(row, source)
            if source.ranking is None:
                source = replace(source, ranking=holds_ranking(source, list(row.values)))
            found = align(row.values, source, format)
            if isinstance(found, RowFault):
                faults.append((row, found))
            else:
                rows.append(AlignedRow(row=found, file=row.file, line=row.line))
        return rows, faults, format


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


def _at_field(found: Problem, field: str) -> Problem:
    """`found`, pointing at the spec's `field` where it points at no file."""
    return found if found.place.file else replace(found, place=Place(field=field))


def _format_of(row: LocatedRow, source: DataSource) -> str:
    columns = list(row.values)
    found = detect_format(source, columns)
    if found is None:
        shown = ", ".join(columns) or "none"
        place = Place(file=row.file, line=row.line)
        raise fail("data-format-unclear", place, path=source.name, columns=shown)
    return found


def _row_problems(faults: list[tuple[LocatedRow, RowFault]]) -> Iterator[Problem]:
    counts: dict[str, int] = {}
    for row, fault in faults:
        counts[row.file] = counts.get(row.file, 0) + 1
        if counts[row.file] <= SHOWN_BAD_ROWS:
            place = Place(file=row.file, line=row.line, field=fault.field)
            yield problem("data-bad-row", place, reason=fault.reason)
    for file, count in counts.items():
        if count > SHOWN_BAD_ROWS:
            place = Place(file=file)
            yield problem("data-more-bad-rows", place, count=count - SHOWN_BAD_ROWS, path=file)


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
            pieces = shortened(found, limit, data.over_long)
            kept += [(piece, str(place)) for piece in pieces]
            became = f"{data.over_long}, {len(pieces)} kept" if pieces else "dropped"
            too_long.append(f"{row.file}:{row.line} {tokens} tokens, {became}")
    if problems:
        raise HextuneError(problems[:SHOWN_BAD_ROWS])
    return kept, too_long


def shortened(row: EncodedRow, limit: int, policy: str) -> list[EncodedRow]:
    """What a policy makes of a row that is too long; pieces that train nothing are left out."""
    return [piece for piece in CUTS[policy](row, limit) if learns(piece)]


CUTS: Mapping[str, Callable[[EncodedRow, int], list[EncodedRow]]] = {
    "drop": lambda row, limit: [],
    "cut_left": lambda row, limit: [cut_left(row, limit)],
    "cut_right": lambda row, limit: [cut_right(row, limit)],
    "split": split,
}
