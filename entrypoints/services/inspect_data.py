"""Inspect data: see which rows are used, how long they are, and which tokens are trained."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from domain.data_report import DataReport
from domain.dataset import AlignedRow, DatasetKind
from domain.errors import HextuneError, fail
from domain.fingerprint import fingerprint
from domain.masking import IGNORED, EncodedRow
from domain.media import MediaAccount, MediaKind, account
from domain.run_spec import DataSection, RunSpec
from entrypoints.services.encode_rows import encode_rows
from entrypoints.services.prepare_data import PrepareData
from ports.encoder import ConversationEncoder
from ports.model import ModelBackend

COMPARED_ROWS = 200
"""Rows whose ids are compared with the tokenizer's own rendering."""


@dataclass(frozen=True, slots=True)
class ShownRow:
    """One row as it is trained: pieces of text, each with whether it carries a loss."""

    file: str
    line: int
    pieces: Sequence[tuple[str, int, bool]]
    """(text, token id, trained) of each token."""
    answer: str | None = None
    """Which answer of a preference it is: chosen or rejected."""


@dataclass(frozen=True, slots=True)
class InspectData:
    """Looks at the rows of a spec as its model sees them."""

    prepare: PrepareData
    models: ModelBackend

    def report(self, spec: RunSpec) -> DataReport:
        """The account of all rows. Raises HextuneError for sources that cannot be read."""
        encoder, limit = self._encoder(spec)
        data = replace(spec.data, on_bad_row="drop")
        training, held_out = self.prepare.align(data, spec.seed)
        rows = [*training.rows, *held_out.rows]
        encoded = _encoded(rows, encoder, data)
        lengths = [(row, found) for row, found in encoded if isinstance(found, EncodedRow)]
        compared = [_agrees(row, encoder) for row in rows[:COMPARED_ROWS]]
        dropped = [*training.dropped, *held_out.dropped]
        return DataReport(
            rows_read=training.rows_read + held_out.rows_read,
            kinds=dict(Counter(row.row.kind.value for row in rows)),
            formats={**training.formats, **held_out.formats},
            dropped=dropped,
            too_long=[
                f"{row.file}:{row.line} {found.longest} tokens: {data.cut(row.row.kind)}"
                for row, found in lengths
                if found.longest > limit
            ],
            refused=[
                f"{row.file}:{row.line} {found.problems[0].message}"
                for row, found in encoded
                if isinstance(found, HextuneError)
            ],
            duplicates=list(_duplicates(rows)),
            untrained=[
                f"{row.file}:{row.line}"
                for row, found in lengths
                if not found.trained_tokens and found.asked is None
            ],
            limit=limit,
            lengths=[len(each.input_ids) for _, found in lengths for each in found.sequences],
            trained=[each.trained_tokens for _, found in lengths for each in found.sequences],
            compared=sum(verdict is not None for verdict in compared),
            equal=sum(verdict is True for verdict in compared),
            media=_media(encoded),
        )

    def show(self, spec: RunSpec, first: int, count: int) -> Iterator[ShownRow]:
        """Rows from number `first` (counted from 1) as they are trained."""
        encoder, _ = self._encoder(spec)
        training, _ = self.prepare.align(spec.data, spec.seed)
        rows = list(training.rows)[first - 1 : first - 1 + count]
        for row, found in _encoded(rows, encoder, spec.data):
            if isinstance(found, HextuneError):
                raise found
            names = ("chosen", "rejected") if found.rejected else (None,)
            for name, each in zip(names, found.sequences, strict=True):
                marks = [label != IGNORED for label in each.labels]
                texts = encoder.pieces(each)
                pieces = list(zip(texts, each.input_ids, marks, strict=True))
                yield ShownRow(row.file, row.line, pieces, name)

    def standard(self, spec: RunSpec) -> Iterator[dict[str, object]]:
        """Every usable row in the paper's standardized structure."""
        training, held_out = self.prepare.align(spec.data, spec.seed)
        for row in (*training.rows, *held_out.rows):
            yield row.row.as_json()

    def _encoder(self, spec: RunSpec) -> tuple[ConversationEncoder, int]:
        handle = self.models.inspect(spec.model).stretched(spec.model.rope, spec.data.max_tokens)
        if not handle.has_chat_template:
            raise fail("rule-no-chat-template", model=handle.name)
        return self.models.encoder(handle), spec.data.row_limit(handle.context_tokens)


def _encoded(
    rows: Sequence[AlignedRow], encoder: ConversationEncoder, data: DataSection
) -> list[tuple[AlignedRow, EncodedRow | HextuneError]]:
    """Each row with what it is encoded to; rows of several kinds keep their order."""
    found: dict[int, EncodedRow | HextuneError] = {}
    for kind in DatasetKind:
        numbers = [n for n, row in enumerate(rows) if row.row.kind is kind]
        encoded = encode_rows([rows[n].row for n in numbers], encoder, data)
        found |= dict(zip(numbers, encoded, strict=True))
    return [(row, found[number]) for number, row in enumerate(rows)]


def _media(
    encoded: Sequence[tuple[AlignedRow, EncodedRow | HextuneError]],
) -> Mapping[str, MediaAccount]:
    """The account of each kind of file that rows show or play."""
    accounts = {}
    for kind in MediaKind:
        named = [
            (file, found)
            for row, found in encoded
            for file in row.row.media.files
            if file.kind is kind
        ]
        tokens = [
            found.media.tokens_of_one(kind)
            for _, found in named
            if isinstance(found, EncodedRow) and found.media is not None
        ]
        if named:
            accounts[kind.value] = account([file for file, _ in named], tokens)
    return accounts


def _agrees(row: AlignedRow, encoder: ConversationEncoder) -> bool | None:
    if row.row.kind is DatasetKind.TEXT or row.row.media:
        return None  # ids of rows with media are the processor's own
    try:
        return encoder.agrees(row.row.conversation())
    except HextuneError:
        return None


def _duplicates(rows: Sequence[AlignedRow]) -> Iterator[str]:
    seen: dict[str, str] = {}
    for row in rows:
        place = f"{row.file}:{row.line}"
        first = seen.setdefault(fingerprint(row.row.as_json()), place)
        if first != place:
            yield f"{place} stands at {first} too"
