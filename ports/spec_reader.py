"""Reading run specs from text, with the place and origin of every value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from domain.errors import Place, Problem
from domain.run_plan import Origin
from domain.run_spec import RunSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecText:
    """A spec as a user wrote it."""

    text: str
    """The document."""
    format: str
    """yaml, toml or json."""
    source: str
    """File name, or the door it came by."""
    overrides: Sequence[str] = ()
    """section.key=value, applied in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecDocument:
    """A spec that was read, and how to point back at its text."""

    spec: RunSpec
    text: SpecText
    origins: Mapping[str, Origin]
    """Who set each dotted key that was set."""
    places: Mapping[str, Place]
    """Where each dotted key that was set stands."""

    def place(self, field: str) -> Place:
        """The place of `field`, or of the nearest section around it that was set."""
        key = field
        while key and key not in self.places:
            key = key.rpartition(".")[0]
        return replace(self.places.get(key, Place(file=self.text.source)), field=field)

    def placed(self, problem: Problem) -> Problem:
        """`problem` with a place in this text, where it names a field and no file."""
        field = None if problem.place.file else problem.place.field
        return problem if field is None else replace(problem, place=self.place(field))


class SpecReader(Protocol):
    """Turns text into a spec."""

    def load(self, path: str, overrides: Sequence[str]) -> SpecText:
        """The text of a spec file. Raises HextuneError where there is none."""

    def read(self, text: SpecText) -> SpecDocument:
        """The spec in `text`. Raises HextuneError with every mistake in it."""

    def json_schema(self) -> Mapping[str, object]:
        """JSON Schema (2020-12) of a spec file."""
