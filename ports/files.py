"""Files that came through a door: their content and records, and uploads in parts."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from domain.files import StoredFile, Upload


class FileStore(Protocol):
    """All uploaded files of one folder."""

    def add(self, file: StoredFile, pieces: Iterable[bytes]) -> StoredFile:
        """Store content under a new record, with its size and sum; whole or not at all.

        A file that is there already stays as it is. Raises HextuneError where it is too large.
        """

    def get(self, id: str) -> StoredFile:
        """The record of a file. Raises HextuneError for none."""

    def all(self) -> Sequence[StoredFile]:
        """Every record, oldest first."""

    def path(self, id: str) -> str:
        """Where the content lies, for those that read files. Raises HextuneError for none."""

    def read(self, id: str) -> Iterator[bytes]:
        """The content in pieces. Raises HextuneError for none."""

    def remove(self, id: str) -> None:
        """Remove content and record. Raises HextuneError for none."""


class UploadStore(Protocol):
    """Uploads in parts."""

    def save(self, upload: Upload) -> None:
        """Put an upload on record, or replace its record."""

    def load(self, id: str) -> Upload:
        """The record of an upload. Raises HextuneError for none."""

    def add_part(self, upload: Upload, part_id: str, pieces: Iterable[bytes]) -> None:
        """Store a part. Raises HextuneError where it is too large."""

    def part_sizes(self, upload: Upload) -> dict[str, int]:
        """Part to its bytes."""

    def joined(self, upload: Upload, part_ids: Sequence[str]) -> Iterator[bytes]:
        """The content of parts in an order."""

    def drop_parts(self, upload: Upload) -> None:
        """Remove every part."""
