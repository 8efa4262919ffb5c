"""Rows of data files, each with its line: JSON, JSON lines, CSV and text, compressed or not.

Parquet and Arrow files are read in batches through pyarrow, as `datasets` itself does.
"""

import bz2
import csv
import gzip
import json
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, cast

from domain.dataset import LocatedRow
from domain.errors import HextuneError, Place, fail

Opener = Callable[[], IO[bytes]]
"""Opens the file from its beginning, in binary."""

LONGEST_LINE_BYTES = 64 * 1024**2
"""A longer line is no row of text anybody trains on; reading it would only fill the memory."""

DECOMPRESS: Mapping[str, Callable[[IO[bytes]], Any]] = {
    ".gz": lambda file: gzip.GzipFile(fileobj=file),
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
}
"""Compressions by the ending of a file name."""


def rows_of(
    path: str, suffix: str, compression: str | None, opener: Opener
) -> Iterator[LocatedRow]:
    """Rows in file order. Raises HextuneError where the file breaks off or is not what it says."""
    try:
        with opener() as raw:
            opened = DECOMPRESS[compression](raw) if compression else raw
            yield from READERS[suffix](cast("IO[bytes]", opened), path)
    except UnicodeDecodeError as error:
        reason = f"byte {error.object[error.start]:#04x} is not UTF-8 text"
        raise broken(path, None, reason) from None
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        raise broken(path, None, f"the compressed data is damaged: {error}") from None
    except OSError as error:
        raise broken(path, None, error.strerror or str(error)) from None


def broken(path: str, line: int | None, reason: object) -> HextuneError:
    """The error for a file that cannot be read to its end."""
    return fail("data-file-broken", Place(file=path, line=line), path=path, reason=reason)


def _row(value: Any, path: str, line: int) -> LocatedRow:
    if not isinstance(value, dict):
        raise broken(path, line, f"this row is {type(value).__name__}, not an object of columns")
    return LocatedRow(values=value, file=path, line=line)


def _lines(file: IO[bytes], path: str) -> Iterator[tuple[int, str]]:
    """(number, text) of each line; only the line feed ends a line, as JSON text may hold others."""
    for number in range(1, 2**63):
        raw = file.readline(LONGEST_LINE_BYTES + 1)
        if not raw:
            return
        if len(raw) > LONGEST_LINE_BYTES:
            raise broken(path, number, f"the line is longer than {LONGEST_LINE_BYTES} bytes")
        yield number, raw.decode("utf-8-sig" if number == 1 else "utf-8")


def _json_lines(file: IO[bytes], path: str) -> Iterator[LocatedRow]:
    for number, line in _lines(file, path):
        if line.strip():
            try:
                value = json.loads(line.rstrip())
            except json.JSONDecodeError as error:
                raise broken(path, number, f"{error.msg} at column {error.colno}") from None
            except RecursionError:
                raise broken(path, number, "it is nested too deeply") from None
            yield _row(value, path, number)


def _json_array(file: IO[bytes], path: str) -> Iterator[LocatedRow]:
    text = file.read().decode("utf-8-sig")
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise broken(path, error.lineno, error.msg) from None
    except RecursionError:
        raise broken(path, None, "it is nested too deeply") from None
    if not isinstance(value, list):
        raise broken(path, 1, "it is not a list of rows")
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


def _csv(file: IO[bytes], path: str) -> Iterator[LocatedRow]:
    reader = csv.reader((line for _, line in _lines(file, path)), strict=True)
    try:
        header = next(reader, [])
        before = reader.line_num
        for cells in reader:
            if cells and len(cells) != len(header):
                reason = f"it does not have the header's {len(header)} cells ({len(cells)} found)"
                raise broken(path, before + 1, reason)
            if cells:
                yield _row(dict(zip(header, cells, strict=True)), path, before + 1)
            before = reader.line_num
    except csv.Error as error:
        raise broken(path, reader.line_num, error) from None


def _text(file: IO[bytes], path: str) -> Iterator[LocatedRow]:
    """Each filled line is a document, as `datasets` reads text files."""
    for number, line in _lines(file, path):
        if line.strip():
            yield LocatedRow(values={"text": line.rstrip("\r\n")}, file=path, line=number)


def _parquet(file: IO[bytes], path: str) -> Iterator[LocatedRow]:
    import pyarrow.parquet

    return _arrow_rows(lambda: pyarrow.parquet.ParquetFile(file).iter_batches(), path)


def _arrow(file: IO[bytes], path: str) -> Iterator[LocatedRow]:
    """Arrow's stream format, which `datasets` writes, or its file format."""
    import pyarrow

    def batches() -> Iterator[Any]:
        try:
            yield from pyarrow.ipc.open_stream(file)
        except pyarrow.ArrowInvalid:
            file.seek(0)
            found = pyarrow.ipc.open_file(file)
            yield from (found.get_batch(number) for number in range(found.num_record_batches))

    return _arrow_rows(batches, path)


def _arrow_rows(batches: Callable[[], Iterator[Any]], path: str) -> Iterator[LocatedRow]:
    import pyarrow

    number = 0
    try:
        for batch in batches():
            for value in batch.to_pylist():
                number += 1
                yield _row(value, path, number)
    except pyarrow.ArrowException as error:
        raise broken(path, None, str(error).partition("\n")[0]) from None


READERS: Mapping[str, Callable[[IO[bytes], str], Iterator[LocatedRow]]] = {
    ".json": _json_array,
    ".jsonl": _json_lines,
    ".csv": _csv,
    ".txt": _text,
    ".parquet": _parquet,
    ".arrow": _arrow,
}
