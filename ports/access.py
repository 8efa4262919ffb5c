"""Keys on record."""

from collections.abc import Sequence
from typing import Protocol

from domain.access import AccessKey


class KeyStore(Protocol):
    """All keys of one folder of runs; both network doors ask it at every request."""

    def all(self) -> Sequence[AccessKey]:
        """Every key, oldest first."""

    def save(self, keys: Sequence[AccessKey]) -> None:
        """Replace the keys on record, atomically, in a file only its owner reads."""
