"""Errors a user can act on: a code, a place, one sentence, a hint, and the facts as data.

Every text lives in `domain.error_texts`; doors translate by code and facts. A `HextuneError`
carries all problems found, so that one attempt reports every mistake at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from domain.error_texts import TEXTS
from domain.fingerprint import Json


class ExitCode(IntEnum):
    """What a command's exit status means."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    ACCESS = 4
    UNFIT = 5
    RUN_FAILED = 6
    UNAVAILABLE = 75
    INTERRUPTED = 130


EXIT_MEANINGS: Mapping[ExitCode, str] = {
    ExitCode.OK: "it worked",
    ExitCode.FAILED: "it failed; the message says why",
    ExitCode.USAGE: "bad usage, a bad spec or bad data; nothing was started",
    ExitCode.NOT_FOUND: "a file, model or run is not there",
    ExitCode.ACCESS: "access denied: a key, a permission or a full disk",
    ExitCode.UNFIT: "this machine or installation cannot do what was asked",
    ExitCode.RUN_FAILED: "a training run failed after it started",
    ExitCode.UNAVAILABLE: "temporarily unavailable; try again",
    ExitCode.INTERRUPTED: "interrupted; what was done is saved",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a problem stands; any part may be unknown."""

    file: str | None = None
    """File path as the user wrote it, or a name such as `override`."""
    line: int | None = None
    """Line number, counted from 1."""
    field: str | None = None
    """Dotted path of the key or column."""

    def __str__(self) -> str:
        parts = [self.file, f"{self.line}" if self.line else None]
        where = ":".join(part for part in parts if part)
        return f"{where} {self.field}".strip() if self.field else where


NOWHERE = Place()


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong, with what to do about it."""

    code: str
    """Key into `domain.error_texts.TEXTS`."""
    place: Place = NOWHERE
    """Where it stands."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """The values the message and the hint name."""

    @property
    def message(self) -> str:
        """One English sentence."""
        return TEXTS[self.code].message.format_map(self.facts)

    @property
    def hint(self) -> str:
        """What to do next, in English."""
        return TEXTS[self.code].hint.format_map(self.facts)

    @property
    def exit_code(self) -> ExitCode:
        """The exit status of a command that ends with this problem."""
        return ExitCode(TEXTS[self.code].exit_code)

    def as_json(self) -> dict[str, Json]:
        """The problem as every door shows it to programs."""
        return {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "file": self.place.file,
            "line": self.place.line,
            "field": self.place.field,
            "facts": dict(self.facts),
        }


def problem(code: str, place: Place = NOWHERE, **facts: object) -> Problem:
    """A problem whose texts format: KeyError for an unknown code or a missing fact."""
    made = Problem(code=code, place=place, facts={k: str(v) for k, v in facts.items()})
    _ = (made.message, made.hint)
    return made


class HextuneError(Exception):
    """One or more problems; doors render them, nothing else."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        if not problems:
            raise ValueError("a HextuneError needs at least one problem")
        self.problems = tuple(problems)
        super().__init__("; ".join(p.message for p in self.problems))

    def __reduce__(self) -> tuple[type["HextuneError"], tuple[tuple[Problem, ...]]]:
        return (HextuneError, (self.problems,))

    @property
    def exit_code(self) -> ExitCode:
        """The first problem's exit code."""
        return self.problems[0].exit_code


def fail(code: str, place: Place = NOWHERE, **facts: object) -> HextuneError:
    """An error with one problem, ready to raise."""
    return HextuneError([problem(code, place, **facts)])
