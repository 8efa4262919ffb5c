"""Keeping encoded rows, so that planning, training and resuming encode the same rows once."""

from collections.abc import Sequence
from typing import Protocol

from domain.masking import EncodedRow


class EncodedCache(Protocol):
    """Rows by the hash of everything they were made from, so that none is ever stale."""

    def load(self, key: str) -> Sequence[EncodedRow] | None:
        """The rows kept under a key, or None where there are none that can be read."""

    def keep(self, key: str, rows: Sequence[EncodedRow]) -> None:
        """Keep rows under a key; whole or not at all, also when two runs do it at once."""
