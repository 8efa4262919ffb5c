"""Reading rows from files."""

from collections.abc import Iterator
from typing import Protocol

from domain.dataset import DataSource, LocatedRow
from domain.media import MediaFile, MediaKind


class RowReader(Protocol):
    """Reads the rows of a source, each with its place."""

    def read(self, source: DataSource) -> Iterator[LocatedRow]:
        """Rows in order. Raises HextuneError for a source that is not there or breaks off."""

    def media(self, path: str, kind: MediaKind) -> MediaFile | str:
        """What the header of an image, video or audio file says, or why it cannot be used."""
