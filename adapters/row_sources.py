"""Where rows come from: files, folders, patterns, object stores through fsspec, and the hub.

Rows of a Python loading script are `adapters.row_script`'s.
"""

import glob
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from adapters.media_files import probe
from adapters.row_files import DECOMPRESS, READERS, broken, rows_of
from adapters.row_script import SCRIPT, script_rows
from domain.dataset import DataSource, LocatedRow
from domain.errors import HextuneError, Place, fail
from domain.media import MediaFile, MediaKind
from ports.catalog import Catalog

BUILTIN = "builtin:"
DATASETS = Path(__file__).parent / "data" / "datasets"
REMOTE = ("s3://", "gs://", "gcs://", "https://", "http://", "hdfs://", "memory://")
"""Addresses that fsspec opens; each protocol needs its own package, which fsspec names."""


class SourceRowReader:
    """Implements ports.datasets.RowReader."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def read(self, source: DataSource) -> Iterator[LocatedRow]:
        """Rows of the source's files in the order of their names."""
        if (source.path is None) is (source.hub is None):
            given = "both" if source.path else "none"
            raise fail("data-source-unclear", given=given)
        if source.path is None:
            return _hub_rows(source)
        if source.path.startswith(REMOTE):
            return _remote_rows(source.path)
        if source.path.endswith(SCRIPT):
            return script_rows(source, source.path)
        return self._local_rows(source.path)

    def media(self, path: str, kind: MediaKind) -> MediaFile | str:
        """What the file's header says, or why it cannot be used."""
        return probe(path, kind)

    def _local_rows(self, path: str) -> Iterator[LocatedRow]:
        for name, file in self._files(path):
            suffix, compression = _suffix(name)
            yield from rows_of(name, suffix, compression, partial(_open, file))

    def _files(self, path: str) -> list[tuple[str, Path]]:
        """(name as the user would write it, file) of each file of a path, sorted."""
        if path.startswith(BUILTIN):
            description = self._catalog.description("datasets", path.removeprefix(BUILTIN))
            file = DATASETS / str(description["file"])
            # The name of a built-in dataset stands for its file in messages.
            return [(path + file.suffix, file)]
        place = Path(path).expanduser()
        if place.is_dir():
            found = sorted(p for p in place.iterdir() if p.is_file() and _readable(p.name))
        elif glob.has_magic(path):
            matches = map(Path, glob.glob(str(place), recursive=True))
            found = sorted(p for p in matches if p.is_file())
        else:
            if not place.is_file():
                raise fail("data-file-missing", path=path, folder=Path.cwd())
            return [(path, place)]
        if not found:
            raise fail("data-file-missing", path=path, folder=Path.cwd())
        return [(str(file), file) for file in found]


def _open(file: Path) -> IO[bytes]:
    return file.open("rb")


def _readable(name: str) -> bool:
    endings = PurePosixPath(name).suffixes
    if endings and endings[-1] in DECOMPRESS:
        endings = endings[:-1]
    return bool(endings) and endings[-1] in READERS


def _suffix(name: str) -> tuple[str, str | None]:
    """(kind of file, compression) by its ending. Raises HextuneError for others."""
    endings = PurePosixPath(name).suffixes
    compression = endings.pop() if endings and endings[-1] in DECOMPRESS else None
    if not endings or endings[-1] not in READERS:
        raise fail("data-file-kind", path=name)
    return endings[-1], compression


def _remote_rows(path: str) -> Iterator[LocatedRow]:
    import fsspec

    suffix, compression = _suffix(path)
    try:
        file = fsspec.open(path, "rb")
    except (ImportError, ValueError, OSError) as error:
        raise broken(path, None, str(error).partition("\n")[0]) from None
    return rows_of(path, suffix, compression, lambda: cast("IO[bytes]", file.open()))


def _hub_rows(source: DataSource) -> Iterator[LocatedRow]:
    """Rows of a hub dataset, streamed: nothing is downloaded that is not read."""
    from datasets import load_dataset

    try:
        rows: Any = load_dataset(
            source.hub,
            name=source.subset,
            split=source.split,
            data_dir=source.folder,
            revision=source.revision,
            streaming=True,
        )
        for number, values in enumerate(rows, 1):
            yield LocatedRow(values=values, file=source.name, line=number)
    except HextuneError:
        raise
    except Exception as error:  # the library raises whatever its loaders and the network raise
        reason = str(error).partition("\n")[0] or type(error).__name__
        place = Place(file=source.name)
        raise fail("data-file-broken", place, path=source.name, reason=reason) from None
