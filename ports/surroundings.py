"""Time and chance, which tests hold still."""

from typing import Protocol


class Surroundings(Protocol):
    """The clock and fresh identifiers."""

    def now(self) -> float:
        """Seconds since the epoch."""

    def sleep(self, seconds: float) -> None:
        """Wait."""

    def token(self) -> str:
        """Six random characters for a new id."""

    def folder(self) -> str:
        """The folder relative paths start from."""
