"""The list of a pipeline's steps, blocks that repeat written out."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from domain.errors import Place, Problem, problem

PIPELINE = "pipeline"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
MOST_TURNS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A step as it is written."""

    name: str
    """Its name; of a block that repeats, with the number of the turn."""
    written: str
    """Its name as it stands in the file."""
    own: dict[str, Any]
    """Its own keys."""
    path: str
    """Dotted path of its keys in the file."""


def items_of(value: dict[str, Any], problems: list[Problem], source: str) -> list[Item]:
    """Every step, in order; what is no step is added to `problems`."""
    reading = _Items(problems, source)
    found = list(reading.listed(value[PIPELINE], PIPELINE))
    seen = set[str]()
    for item in found:
        if item.name in seen:
            place = Place(file=source, field=f"{item.path}.name")
            problems.append(problem("pipeline-name-twice", place, name=item.name))
        seen.add(item.name)
    return found


@dataclass(frozen=True, slots=True)
class _Items:
    problems: list[Problem]
    source: str

    def listed(self, value: object, path: str) -> Iterator[Item]:
        if not isinstance(value, list) or not value:
            self._say("pipeline-no-steps", path, key=path)
            return
        for number, each in enumerate(value):
            at = f"{path}.{number}"
            if isinstance(each, dict) and "repeat" in each:
                yield from self._repeated(each, at)
            else:
                yield from self._single(each, at)

    def _single(self, each: object, path: str) -> Iterator[Item]:
        name = each.get("name") if isinstance(each, dict) else None
        if isinstance(each, dict) and isinstance(name, str) and NAME.fullmatch(name):
            yield Item(name=name, written=name, own=each, path=path)
        else:
            self._say("pipeline-step-name", path, found=each if name is None else name)

    def _repeated(self, block: dict[str, Any], path: str) -> Iterator[Item]:
        turns = block["repeat"]
        whole = block.keys() == {"repeat", "steps"} and type(turns) is int
        if not (whole and 1 <= turns <= MOST_TURNS):
            self._say("pipeline-repeat", path, most=MOST_TURNS)
            return
        inner = list(self.listed(block["steps"], f"{path}.steps"))
        for turn in range(1, turns + 1):
            yield from (replace(item, name=f"{item.name}-{turn}") for item in inner)

    def _say(self, code: str, path: str, **facts: object) -> None:
        place = Place(file=self.source, field=path)
        self.problems.append(problem(code, place, **facts))
