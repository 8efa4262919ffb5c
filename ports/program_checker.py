"""Running a program that nobody has read."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramLimits:
    """What a program may take."""

    time_s: float
    """Seconds it may run."""
    memory_mb: int
    """MiB of memory it may take."""


class ProgramChecker(Protocol):
    """Runs programs in processes of their own."""

    def check(self, program: str, limits: ProgramLimits) -> str | None:
        """None where it ran to its end without an error; else why not, in a line."""

    def isolation(self) -> str:
        """What keeps programs from doing harm on this machine, in a sentence."""
