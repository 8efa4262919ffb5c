"""A job: one run's life, from queued to its end."""

from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any


class JobStatus(StrEnum):
    """Where a run is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def ended(self) -> bool:
        """Whether no worker is at it any more."""
        return self in (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.STOPPED)

    @property
    def resumable(self) -> bool:
        """Whether it ended before its last step."""
        return self in (JobStatus.FAILED, JobStatus.STOPPED)


class JobKind(StrEnum):
    """What a run does."""

    TRAIN = "train"
    """It trains a model as a run spec says."""
    EVALUATE = "evaluate"
    """It measures models as an evaluation spec says."""
    GENERATE = "generate"
    """It writes answers as a step of a pipeline says, and makes rows of them."""
    PIPELINE = "pipeline"
    """It starts the runs of a pipeline, one after the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerId:
    """A process, told apart from a later one that got the same number."""

    pid: int
    """Process number."""
    started_at: float
    """When the process started, in seconds since the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartOf:
    """What a run belongs to."""

    pipeline: str
    """Id of the pipeline."""
    step: str
    """Name of the step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run and its state."""

    id: str
    """The run's id, which is its folder's name."""
    name: str
    """The spec's short name."""
    folder: str
    """Absolute path of the run folder."""
    working_folder: str
    """Where relative paths in the spec start."""
    spec_hash: str
    """Hash of the spec."""
    created_at: float
    """When it was created, in seconds since the epoch."""
    kind: JobKind = JobKind.TRAIN
    """What it does."""
    status: JobStatus = JobStatus.QUEUED
    """Where it is in its life."""
    worker: WorkerId | None = None
    """The process at it, or the last one that was."""
    request_id: str | None = None
    """The caller's id of the request, for asking twice safely."""
    started_at: float | None = None
    """When a worker first took it."""
    ended_at: float | None = None
    """When it last ended."""
    queued_at: float = 0.0
    """When it last began to wait for a worker, in seconds since the epoch."""
    total_steps: int = 0
    """Optimizer steps planned, or measurements."""
    part_of: PartOf | None = None
    """The pipeline whose step it is."""
    problem: dict[str, Any] | None = None
    """Why it failed: a problem as JSON."""

    def moved(self, status: JobStatus, **changes: Any) -> "Job":
        """The job in another state."""
        return replace(self, status=status, **changes)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Job":
        """The job `as_json` described. Raises KeyError, TypeError or ValueError on other values."""
        worker, part_of = values["worker"], values.get("part_of")
        return cls(
            **{
                **values,
                "kind": JobKind(values.get("kind", JobKind.TRAIN)),
                "status": JobStatus(values["status"]),
                "worker": WorkerId(**worker) if worker else None,
                "part_of": PartOf(**part_of) if part_of else None,
            }
        )
