"""Trackers: where a run's figures go beside its own events."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from domain.fingerprint import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedRun:
    """The run that is tracked."""

    id: str
    """Its id."""
    name: str
    """Its name for people."""
    folder: str
    """Its folder."""
    spec: Mapping[str, object]
    """Its spec, which holds no secrets."""
    resumed: bool
    """Whether an earlier worker tracked it already."""


class Tracker(Protocol):
    """One place figures go."""

    def record(self, step: int, figures: Mapping[str, float]) -> None:
        """Take in figures of a step, such as train/loss; they are out when the call returns."""

    def close(self, *, succeeded: bool) -> None:
        """The run ended."""


class OpenTracker(Protocol):
    """Opens trackers by name."""

    def __call__(self, part: Mapping[str, Json], run: TrackedRun) -> Tracker:
        """The tracker a spec names, with its options, ready for the run."""
