"""Numbered events: all that a door ever learns about a run while it goes on."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from domain.fingerprint import Json


class EventKind(StrEnum):
    """What happened; the fields of `JobEvent.data` are named for each."""

    CREATED = "created"
    """The run folder exists: spec_hash, total_steps."""
    PHASE = "phase"
    """Work moved on: phase (loading, data, rehearsal, training, measuring, saving, reporting)."""
    STEP = "step"
    """A training step was logged: step, total_steps, epoch, loss, learning_rate, grad_norm,
    tokens (seen so far, without padding), tokens_per_s, eta_s; and a stage's own figures."""
    PROGRESS = "progress"
    """Items of an evaluation were measured: step, total_steps, title, per_s (measurements a
    second), eta_s."""
    EVALUATION = "evaluation"
    """Held-out rows were measured: step, loss; and perplexity, or a stage's own figures; best,
    whether none was better so far; and where there are several sources, sources with the figures
    of each."""
    SAMPLE = "sample"
    """The model answered a prompt as it is now: step, prompt, text."""
    CHECKPOINT = "checkpoint"
    """A checkpoint is complete: step, path."""
    WARNING = "warning"
    """Something deserves a look: a problem as JSON."""
    PART = "part"
    """A step of a pipeline began or ended: name, number, count, run, status (of the run)."""
    RESUMED = "resumed"
    """A worker continued from a checkpoint: step."""
    SUCCEEDED = "succeeded"
    """The run is done: the results."""
    FAILED = "failed"
    """The run failed: a problem as JSON."""
    STOPPED = "stopped"
    """The run was stopped and saved: step."""

    @property
    def ends(self) -> bool:
        """Whether no event follows unless the run is resumed."""
        return self in (EventKind.SUCCEEDED, EventKind.FAILED, EventKind.STOPPED)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEvent:
    """One event."""

    seq: int
    """Number within the run, from 1 without gaps."""
    at: float
    """When, in seconds since the epoch."""
    kind: EventKind
    """What happened."""
    data: Mapping[str, Json]
    """The fields named by the kind."""

    def as_json(self) -> dict[str, object]:
        """Plain JSON values."""
        return {"seq": self.seq, "at": self.at, "kind": self.kind.value, "data": dict(self.data)}


def stage_figures(data: Mapping[str, Json]) -> dict[str, float]:
    """What a stage measures beside its loss, by its own names such as rewards/margin."""
    return {
        name: value
        for name, value in data.items()
        if (name.startswith(("rewards/", "rollouts/")) or name == "kl")
        and isinstance(value, int | float)
    }


def shown_figures(data: Mapping[str, Json]) -> str:
    """A stage's own figures for people, each after two spaces; empty for none."""
    return "".join(f"  {name} {value:.3g}" for name, value in stage_figures(data).items())
