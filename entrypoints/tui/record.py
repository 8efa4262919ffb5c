"""What the events of one run add up to: its curves, its newest figures, its last events."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.events import EventKind, JobEvent
from domain.metrics import Point
from entrypoints.tui.shown import figure

KEPT_EVENTS = 500
"""Events that can be read back in the monitor; the file has them all."""


@dataclass(slots=True)
class RunRecord:
    """A run as its events tell it."""

    seq: int = 0
    """Number of the newest event."""
    step: int = 0
    """Newest step."""
    first_at: float | None = None
    """When the first event was, in seconds since the epoch."""
    newest: Mapping[str, Any] = field(default_factory=dict)
    """The newest step's figures."""
    checkpoint: int | None = None
    """Step of the newest whole checkpoint."""
    losses: list[Point] = field(default_factory=list)
    gradients: list[Point] = field(default_factory=list)
    evaluations: list[Point] = field(default_factory=list)
    events: deque[JobEvent] = field(default_factory=lambda: deque(maxlen=KEPT_EVENTS))
    """The newest events."""

    def add(self, event: JobEvent) -> None:
        """Take the next event in."""
        self.seq = event.seq
        self.first_at = event.at if self.first_at is None else self.first_at
        self.events.append(event)
        step = int(figure(event.data, "step") or 0)
        if event.kind is EventKind.STEP:
            if step <= self.step:
                self._go_back(step - 1)
            self.step, self.newest = step, event.data
            _add(self.losses, step, figure(event.data, "loss"))
            _add(self.gradients, step, figure(event.data, "grad_norm"))
        elif event.kind is EventKind.PROGRESS:
            self.step, self.newest, self.checkpoint = step, event.data, step
        elif event.kind is EventKind.EVALUATION:
            _add(self.evaluations, step, figure(event.data, "loss"))
        elif event.kind is EventKind.CHECKPOINT:
            self.checkpoint = step
        elif event.kind is EventKind.RESUMED:
            self._go_back(step)

    @property
    def unsaved_steps(self) -> int:
        """Steps since the newest checkpoint."""
        return self.step - (self.checkpoint or 0)

    def _go_back(self, step: int) -> None:
        """Forget what came after `step`: a worker that took the run up trains it again."""
        self.step = step
        for series in (self.losses, self.gradients, self.evaluations):
            series[:] = [point for point in series if point.step <= step]


def _add(series: list[Point], step: int, value: float | None) -> None:
    if value is not None:
        series.append(Point(step, value))
