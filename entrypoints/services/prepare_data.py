"""Read, align, encode and split the rows of a spec, with an account of every row."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from domain.alignment import align, detect_format
from domain.dataset import (
    AlignedDataset,
    AlignedRow,
    DatasetKind,
    DataSource,
    LocatedRow,
    RowFault,
)
from domain.errors import HextuneError, Place, Problem, fail, problem
from domain.fingerprint import fingerprint
from domain.masking import EncodedRow, TrainOn
from domain.prepared import PreparedData, hold_out
from domain.run_spec import DataSection
from ports.datasets import RowReader
from ports.model import ConversationEncoder

SHOWN_BAD_ROWS = 20
"""Bad rows of one file that are reported one by one; the rest are counted."""


@dataclass(frozen=True, slots=True)
class PrepareData:
    """From a data section to encoded rows."""

    reader: RowReader

    def __call__(
        self, data: DataSection, encoder: ConversationEncoder, *, context_tokens: int, seed: int
    ) -> PreparedData:
        """Encoded rows. Raises HextuneError with all faults of all files."""
        training, held_out = self.align(data)
        rows = list(training.rows)[: data.max_samples]
        limit = data.row_limit(context_tokens)
        train, too_long = _encode(rows, encoder, data, limit)
        evaluation, eval_too_long = _encode(list(held_out.rows), encoder, data, limit)
        if data.eval_fraction is not None:
            train, evaluation = hold_out(train, data.eval_fraction, seed)
        everything = (*training.rows, *held_out.rows)
        return PreparedData(
            train=train,
            eval=evaluation,
            rows_read=len(everything) + len(training.dropped) + len(held_out.dropped),
            dropped=[*training.dropped, *held_out.dropped],
            too_long=[*too_long, *eval_too_long],
            formats={**training.formats, **held_out.formats},
            fingerprint=fingerprint([training.fingerprint, held_out.fingerprint]),
            template_fingerprint=encoder.template_fingerprint,
        )

    def check(self, data: DataSection) -> None:
        """Read and align every row. Raises HextuneError with all faults of all files."""
        self.align(data)

    def align(self, data: DataSection) -> tuple[AlignedDataset, AlignedDataset]:
        """(training rows, rows of the evaluation files) in the standard structure."""
        problems: list[Problem] = []
        datasets: list[AlignedDataset] = []
        for key, sources in (("train", data.train), ("eval", data.eval)):
            try:
                datasets.append(self._align_all(sources, data, f"data.{key}"))
            except HextuneError as error:
                problems += error.problems
        if problems:
            raise HextuneError(problems)
        training, held_out = datasets
        return training, held_out

    def _align_all(
        self, sources: tuple[DataSource, ...], data: DataSection, key: str
    ) -> AlignedDataset:
        rows: list[AlignedRow] = []
        faults: list[tuple[LocatedRow, RowFault]] = []
        problems: list[Problem] = []
        formats: dict[str, str] = {}
        for number, source in enumerate(sources):
            before = len(rows) + (len(faults) if data.on_bad_row == "error" else 0)
            try:
                formats[source.path] = self._align_source(source, rows, faults)
            except HextuneError as error:
                field = f"{key}.{number}.path"
                problems += [_at_field(found, field) for found in error.problems]
                continue
            if len(rows) + (len(faults) if data.on_bad_row == "error" else 0) == before:
                problems.append(problem("data-no-rows", Place(file=source.path), path=source.path))
        if data.on_bad_row == "error":
            problems += _row_problems(faults)
        if problems:
            raise HextuneError(problems)
        return AlignedDataset(
            kind=DatasetKind.CONVERSATION,
            rows=rows,
            fingerprint=fingerprint([row.conversation.as_json() for row in rows]),
            formats=formats,
            dropped=[
                f"{row.file}:{row.line} {fault.field}: {fault.reason}" for row, fault in faults
            ],
        )

    def _align_source(
        self,
        source: DataSource,
        rows: list[AlignedRow],
        faults: list[tuple[LocatedRow, RowFault]],
    ) -> str:
        """Add the rows and faults of one source; the format they were read as."""
        format: str = source.format
        for row in self.reader.read(source.path):
            if format == "auto":
                format = _format_of(row, source)
            found = align(row.values, source, format)
            if isinstance(found, RowFault):
                faults.append((row, found))
            else:
                rows.append(AlignedRow(conversation=found, file=row.file, line=row.line))
        return format


def _at_field(found: Problem, field: str) -> Problem:
    """`found`, pointing at the spec's `field` where it points at no file."""
    return found if found.place.file else replace(found, place=Place(field=field))


def _format_of(row: LocatedRow, source: DataSource) -> str:
    columns = list(row.values)
    found = detect_format(source, columns)
    if found is None:
        shown = ", ".join(columns) or "none"
        place = Place(file=row.file, line=row.line)
        raise fail("data-format-unclear", place, path=source.path, columns=shown)
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


def _encode(
    rows: list[AlignedRow], encoder: ConversationEncoder, data: DataSection, limit: int
) -> tuple[list[EncodedRow], list[str]]:
    """(encoded rows of at most `limit` tokens, one line for each row that is longer)."""
    kept: list[EncodedRow] = []
    too_long: list[str] = []
    problems: list[Problem] = []
    for row in rows:
        place = Place(file=row.file, line=row.line)
        try:
            encoded = encoder.encode(row.conversation, TrainOn(data.train_on))
        except HextuneError as error:
            problems += [problem(found.code, place, **found.facts) for found in error.problems]
            continue
        tokens = len(encoded.input_ids)
        if tokens <= limit:
            kept.append(encoded)
        elif data.over_long == "drop":
            too_long.append(f"{row.file}:{row.line} {tokens} tokens")
        else:
            problems.append(problem("data-row-too-long", place, tokens=tokens, limit=limit))
    if problems:
        raise HextuneError(problems[:SHOWN_BAD_ROWS])
    return kept, too_long
