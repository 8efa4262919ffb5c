"""A file of JSON lines in the run folder, one for each step with figures."""

import json
from collections.abc import Mapping
from pathlib import Path

from domain.fingerprint import Json
from domain.section import options_of, section
from ports.tracker import TrackedRun


@section
class Options:
    """Options of tracker jsonl."""

    file: str = "metrics.jsonl"
    """The file, from the run folder."""


def check(values: Mapping[str, Json], field: str) -> None:
    """Nothing can be missing."""


class Tracker:
    """Implements ports.tracker.Tracker."""

    def __init__(self, values: Mapping[str, Json], run: TrackedRun) -> None:
        path = Path(run.folder) / options_of(Options, values).file
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab")
        whole = path.read_bytes().rfind(b"\n") + 1
        self._file.truncate(whole)  # a killed worker may have left half a line

    def record(self, step: int, figures: Mapping[str, float]) -> None:
        """A line."""
        self._file.write(json.dumps({"step": step, **figures}).encode() + b"\n")
        self._file.flush()

    def close(self, *, succeeded: bool) -> None:
        """Close the file."""
        self._file.close()
