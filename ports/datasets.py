"""Reading rows from files."""

from collections.abc import Iterator
from typing import Protocol

from domain.dataset import LocatedRow


class RowReader(Protocol):
    """Reads the rows of one data file, each with its place."""

    def read(self, path: str) -> Iterator[LocatedRow]:
        """Rows in file order; `path` may be builtin:NAME. Raises HextuneError at a broken place."""
