"""Rows of data files, each with its line: JSON, JSON lines, CSV, and Parquet through pyarrow."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from domain.dataset import LocatedRow
from domain.errors import HextuneError, Place, fail
from ports.catalog import Catalog

BUILTIN = "builtin:"
DATASETS = Path(__file__).parent / "data" / "datasets"


class FileRowReader:
    """Implements ports.datasets.RowReader."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def read(self, path: str) -> Iterator[LocatedRow]:
        """Rows in file order. Raises HextuneError for a missing, unknown or broken file."""
        file = self._locate(path)
        if file.suffix not in READERS:
            raise fail("data-file-kind", path=path)
        if not file.is_file():
            raise fail("data-file-missing", path=path, folder=Path.cwd())
        try:
            yield from READERS[file.suffix](file, path)
        except UnicodeDecodeError as error:
            reason = f"byte {error.object[error.start]:#04x} is not UTF-8 text"
            raise _broken(path, None, reason) from None
        except OSError as error:
            raise _broken(path, None, error.strerror or str(error)) from None

    def _locate(self, path: str) -> Path:
        if not path.startswith(BUILTIN):
            return Path(path).expanduser()
        description = self._catalog.description("datasets", path.removeprefix(BUILTIN))
        return DATASETS / str(description["file"])


def _broken(path: str, line: int | None, reason: object) -> HextuneError:
    return fail("data-file-broken", Place(file=path, line=line), path=path, reason=reason)


def _row(value: Any, path: str, line: int) -> LocatedRow:
    if not isinstance(value, dict):
        raise _broken(path, line, f"this row is {type(value).__name__}, not an object of columns")
    return LocatedRow(values=value, file=path, line=line)


def _json_lines(file: Path, path: str) -> Iterator[LocatedRow]:
    with file.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    value = json.loads(line.rstrip())
                except json.JSONDecodeError as error:
                    raise _broken(path, number, f"{error.msg} at column {error.colno}") from None
                yield _row(value, path, number)


def _json_array(file: Path, path: str) -> Iterator[LocatedRow]:
    text = file.read_text(encoding="utf-8-sig")
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise _broken(path, error.lineno, error.msg) from None
    if not isinstance(value, list):
        raise _broken(path, 1, "it is not a list of rows")
    for line, item in zip(_array_lines(text, len(value)), value, strict=True):
        yield _row(item, path, line)


def _array_lines(text: str, count: int) -> Iterator[int]:
    """The line each element of a JSON array starts on; the text is known to be valid."""
    decoder, position, line = json.JSONDecoder(), text.index("[") + 1, 1
    counted = 0
    for _ in range(count):
        while text[position] in " \t\r\n,":
            position += 1
        line += text.count("\n", counted, position)
        counted = position
        yield line
        _, position = decoder.raw_decode(text, position)


def _csv(file: Path, path: str) -> Iterator[LocatedRow]:
    with file.open(encoding="utf-8-sig", newline="") as text:
        yield from _csv_rows(text, path)


def _csv_rows(text: TextIO, path: str) -> Iterator[LocatedRow]:
    reader = csv.reader(text, strict=True)
    try:
        header = next(reader, [])
        before = reader.line_num
        for cells in reader:
            if cells and len(cells) != len(header):
                reason = f"it does not have the header's {len(header)} cells ({len(cells)} found)"
                raise _broken(path, before + 1, reason)
            if cells:
                yield _row(dict(zip(header, cells, strict=True)), path, before + 1)
            before = reader.line_num
    except csv.Error as error:
        raise _broken(path, reader.line_num, error) from None


def _parquet(file: Path, path: str) -> Iterator[LocatedRow]:
    import pyarrow
    import pyarrow.parquet

    try:
        batches = pyarrow.parquet.ParquetFile(file).iter_batches()
        number = 0
        for batch in batches:
            for value in batch.to_pylist():
                number += 1
                yield _row(value, path, number)
    except pyarrow.ArrowException as error:
        raise _broken(path, None, str(error).partition("\n")[0]) from None


READERS: Mapping[str, Callable[[Path, str], Iterator[LocatedRow]]] = {
    ".json": _json_array,
    ".jsonl": _json_lines,
    ".csv": _csv,
    ".parquet": _parquet,
}
