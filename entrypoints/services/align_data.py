"""Align data: read the rows of every source, bring them into one structure, draw and mix them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice

from domain.alignment import align, detect_format, holds_ranking
from domain.dataset import (
    AlignedDataset,
    AlignedRow,
    DatasetKind,
    DataSource,
    Format,
    LocatedRow,
    RowFault,
    StandardRow,
)
from domain.errors import HextuneError, Place, Problem, fail, problem
from domain.fingerprint import fingerprint
from domain.mixing import draw, mix
from domain.prepared import StreamAccount
from domain.run_spec import DataSection
from entrypoints.services.find_media import with_media
from ports.datasets import RowReader

SHOWN_BAD_ROWS = 20
"""Bad rows of one file that are reported one by one; the rest are counted."""


@dataclass(frozen=True, slots=True)
class AlignData:
    """From a data section to rows in the standard structure."""

    reader: RowReader

    def __call__(self, data: DataSection, seed: int) -> tuple[AlignedDataset, AlignedDataset]:
        """(training rows, rows of the evaluation sources).

        Raises HextuneError with all faults of all sources.
        """
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
                rows, wrong, formats[source.name] = self._align_source(source, data)
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
        rows = list(mix(found, [source.weight for source in sources], data.mix, seed))
        return AlignedDataset(
            kind=rows[0].row.kind if rows else DatasetKind.CONVERSATION,
            rows=rows,
            fingerprint=fingerprint([row.row.as_json() for row in rows]),
            formats=formats,
            rows_read=usable + len(faults),
            dropped=[_dropped_line(row, fault) for row, fault in faults],
        )

    def _align_source(
        self, source: DataSource, data: DataSection
    ) -> tuple[list[AlignedRow], list[tuple[LocatedRow, RowFault]], str]:
        """(rows, faults, the format they were read as)."""
        rows: list[AlignedRow] = []
        faults: list[tuple[LocatedRow, RowFault]] = []
        settled, found = aligned(self.reader, source, data)
        for row, outcome in found:
            if isinstance(outcome, RowFault):
                faults.append((row, outcome))
            else:
                found_at = AlignedRow(row=outcome, file=row.file, line=row.line, source=source.name)
                rows.append(found_at)
        return rows, faults, settled.format

    def stream(self, data: DataSection, seed: int, account: StreamAccount) -> Iterator[AlignedRow]:
        """Training rows as they are asked for, mixed; unusable ones as `data.on_bad_row` says."""
        sources = [_Streamed(self.reader, source, data, account) for source in data.train]
        return mix(sources, [source.weight for source in data.train], data.mix, seed)


@dataclass(frozen=True, slots=True)
class _Streamed:
    """A source's usable rows, read anew whenever they are iterated over."""

    reader: RowReader
    source: DataSource
    data: DataSection
    account: StreamAccount

    def __iter__(self) -> Iterator[AlignedRow]:
        settled, found = aligned(self.reader, self.source, self.data)
        self.account.formats[self.source.name] = settled.format
        return islice(self._usable(found), self.source.num_samples)

    def _usable(
        self, found: Iterator[tuple[LocatedRow, StandardRow | RowFault]]
    ) -> Iterator[AlignedRow]:
        for row, outcome in found:
            self.account.rows_read += 1
            if not isinstance(outcome, RowFault):
                yield AlignedRow(row=outcome, file=row.file, line=row.line, source=self.source.name)
            elif self.data.on_bad_row == "error":
                raise HextuneError(list(_row_problems([(row, outcome)])))
            else:
                self.account.dropped(_dropped_line(row, outcome))


def aligned(
    reader: RowReader, source: DataSource, data: DataSection
) -> tuple[DataSource, Iterator[tuple[LocatedRow, StandardRow | RowFault]]]:
    """(the source with what its first row decides, each row and what it becomes)."""
    rows = reader.read(source)
    first = next(rows, None)
    if first is None:
        return source, iter(())
    if source.format == "auto":
        source = replace(source, format=_format_of(first, source))
    if source.ranking is None:
        source = replace(source, ranking=holds_ranking(source, list(first.values)))
    settled = source
    outcomes = ((row, align(row.values, settled, settled.format)) for row in chain([first], rows))
    found = ((row, with_media(reader, row, outcome, settled, data)) for row, outcome in outcomes)
    return settled, found


def _dropped_line(row: LocatedRow, fault: RowFault) -> str:
    return f"{row.file}:{row.line} {fault.field}: {fault.reason}"


def _at_field(found: Problem, field: str) -> Problem:
    """`found`, pointing at the spec's `field` where it points at no file."""
    return found if found.place.file else replace(found, place=Place(field=field))


def _format_of(row: LocatedRow, source: DataSource) -> Format:
    found = detect_format(source, row.values)
    if found is None:
        shown = ", ".join(row.values) or "none"
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
