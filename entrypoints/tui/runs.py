"""The rows of the list of runs: each job with its newest figures."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from domain.events import EventKind
from domain.job import Job
from entrypoints.tui.shown import figure

if TYPE_CHECKING:
    from entrypoints.container import Container


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """A run in the list."""

    job: Job
    """The run."""
    step: int = 0
    """Newest step on record."""
    loss: float | None = None
    """Loss of that step."""
    part: str = ""
    """The step that a pipeline is at."""

    @property
    def title(self) -> str:
        """The run's id, and where a pipeline is."""
        return f"{self.job.id} › {self.part}" if self.part else self.job.id

    @property
    def steps(self) -> str:
        """Steps done of steps planned."""
        return f"{self.step}/{self.job.total_steps}"


@dataclass(slots=True)
class RunReader:
    """Reads the runs; the events of a run that has ended are read once."""

    container: "Container"
    _last: dict[str, tuple[RunRow, int]] = field(default_factory=dict)

    def listed(self) -> Sequence[RunRow]:
        """Every run, newest first, with the figures read before."""
        return [self._known(job)[0] for job in self.container.find_run().all()]

    def read(self) -> Sequence[RunRow]:
        """Every run, newest first, with the figures of now."""
        return [self._read(job) for job in self.container.find_run().all()]

    def _known(self, job: Job) -> tuple[RunRow, int]:
        row, seq = self._last.get(job.id, (RunRow(job=job), 0))
        return replace(row, job=job), seq

    def _read(self, job: Job) -> RunRow:
        row, seq = self._known(job)
        if job.id in self._last and job.status.ended and self._last[job.id][0].job == job:
            return row
        step, loss, part = row.step, row.loss, row.part
        for event in self.container.jobs().events(job, seq):
            seq = event.seq
            if event.kind is EventKind.STEP:
                step, loss = int(figure(event.data, "step") or 0), figure(event.data, "loss")
            elif event.kind in (EventKind.PROGRESS, EventKind.RESUMED):
                step = int(figure(event.data, "step") or 0)
            elif event.kind is EventKind.PART:
                part = f"{event.data['name']} {event.data['number']}/{event.data['count']}"
        row = RunRow(job=job, step=step, loss=loss, part=part)
        self._last[job.id] = (row, seq)
        return row


def matches(row: RunRow, wanted: str, status: str) -> bool:
    """Whether every word of `wanted` is in the run's id or status, and no word after a `!` is."""
    text = f"{row.job.id} {row.job.status.value} {status}".lower()
    return all(
        word[1:] not in text if len(word) > 1 and word[0] == "!" else word in text
        for word in wanted.lower().split()
    )
