"""How things are written for people: texts in the chosen language, ages, clocks, columns."""

import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len, set_cell_size

from domain.error_texts import TEXTS
from domain.errors import Problem
from domain.job import JobStatus
from ports.texts import Translator

MISSING = "–"
"""Stands where a figure is not known."""
MARKS: Mapping[JobStatus, tuple[str, str]] = {
    JobStatus.QUEUED: ("○", "$foreground 60%"),
    JobStatus.RUNNING: ("●", "$primary"),
    JobStatus.SUCCEEDED: ("✔", "$success"),
    JobStatus.FAILED: ("✖", "$error"),
    JobStatus.STOPPED: ("■", "$warning"),
}
"""Sign and colour of each status."""
AGES = ((86_400, "days"), (3_600, "hours"), (60, "minutes"), (0, "seconds"))


@dataclass(slots=True)
class Texts:
    """Texts in one language, which may be changed while the monitor is open."""

    translator: Translator
    language: str

    def __call__(self, key: str, **facts: object) -> str:
        """The text under `key`."""
        return self.translator.text(self.language, key, **facts)

    def problem(self, found: Problem) -> tuple[str, str]:
        """Message and hint; the name of a status in them is translated too."""
        facts = dict(found.facts)
        if facts.get("status") in list(JobStatus):
            facts["status"] = self(f"status.{facts['status']}")
        return self.translator.problem(
            self.language, Problem(code=found.code, place=found.place, facts=facts)
        )

    def recorded(self, data: Mapping[str, Any]) -> tuple[str, str]:
        """Message and hint of a problem on record, which another version may have written."""
        if not _facts_of(data["code"]) <= data["facts"].keys():
            return data["message"], data["hint"]
        return self.problem(Problem(code=data["code"], facts=data["facts"]))

    def turn(self) -> None:
        """Go on to the next language."""
        known = list(self.translator.languages())
        self.language = known[(known.index(self.language) + 1) % len(known)]


def _facts_of(code: str) -> set[str]:
    """The facts that this version's words for a problem name; the code itself for unknown ones."""
    if code not in TEXTS:
        return {code}
    words = TEXTS[code].message + TEXTS[code].hint
    return {name for _, name, _, _ in string.Formatter().parse(words) if name}


def age(texts: Texts, seconds: float) -> str:
    """How long ago, in its largest unit."""
    size, unit = next(entry for entry in AGES if seconds >= entry[0] or entry[0] == 0)
    return texts(f"tui.age.{unit}", count=int(seconds // size) if size else max(0, int(seconds)))


def clock(seconds: float | None) -> str:
    """A duration: 4:05 or 1:02:03."""
    if seconds is None:
        return MISSING
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def number(value: float | None, pattern: str) -> str:
    """A figure by format, or a dash where there is none."""
    return MISSING if value is None else format(value, pattern)


def figure(data: Mapping[str, Any], key: str) -> float | None:
    """A number in an event, where the trainer gave one."""
    value = data.get(key)
    return float(value) if isinstance(value, int | float) else None


def fit(text: str, width: int, *, right: bool = False) -> str:
    """`text` in exactly `width` terminal cells; Chinese characters take two."""
    missing = width - cell_len(text)
    if missing < 0:
        return set_cell_size(text, width - 1) + "…" if width > 1 else set_cell_size(text, width)
    return " " * missing + text if right else text + " " * missing
