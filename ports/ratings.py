"""Keeping ratings that people give."""

from collections.abc import Sequence
from typing import Protocol

from domain.human_ratings import Pair


class RatingStore(Protocol):
    """Preference rows in a file, and beside it a record of every pair."""

    def pairs(self, output: str) -> Sequence[Pair]:
        """Every pair on record; none where there is no record. Raises HextuneError for another
        file."""

    def keep(self, output: str, pairs: Sequence[Pair]) -> None:
        """Put all pairs on record, and write the preferences among them; each file whole or not
        at all. Raises HextuneError where they cannot be written."""
