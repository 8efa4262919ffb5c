"""What a door counts of its work, and how it is read."""

from collections.abc import Mapping
from typing import Protocol


class Meter(Protocol):
    """Counters of one process."""

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered; `route` is a pattern, so that ids make no series of their own."""

    def generating(self, change: int) -> None:
        """So many more generations are under way."""

    def generated(self, prompt_tokens: int, completion_tokens: int) -> None:
        """A generation ended."""

    def text(self, jobs: Mapping[str, int]) -> bytes:
        """Everything in Prometheus' text format; `jobs` is the number of runs by status."""
