"""Find runs as they are now: a run whose worker has died is recorded as failed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from domain.errors import fail, problem
from domain.events import EventKind
from domain.job import Job, JobKind, JobStatus
from ports.jobs import JobStore
from ports.launcher import WorkerLauncher
from ports.surroundings import Surroundings

START_GRACE_S = 60.0
"""A run without a worker for longer was left by a starter that died."""


@dataclass(frozen=True, slots=True)
class FindRun:
    """Looks runs up and keeps their state true."""

    jobs: JobStore
    launcher: WorkerLauncher
    surroundings: Surroundings

    def __call__(self, name: str) -> Job:
        """A run by id, unique beginning, path, or `last`. Raises HextuneError for none.

        `last` is a whole pipeline, never the newest run of its steps.
        """
        if name == "last":
            whole = (job for job in self.jobs.all() if job.part_of is None)
            return self._true_state(next(whole, None) or self.jobs.get(name))
        return self._true_state(self.jobs.get(name))

    def all(self) -> Sequence[Job]:
        """Every run, newest first."""
        return [self._true_state(job) for job in self.jobs.all()]

    def finished(self, name: str) -> Job:
        """A finished training run; `last` is the newest one, whatever was evaluated since.

        Of a pipeline it is the last whose result writes text. Raises HextuneError where there is
        no model that writes, or none yet.
        """
        job = self.newest(JobKind.TRAIN, JobKind.PIPELINE) if name == "last" else self(name)
        if job.kind is JobKind.EVALUATE:
            raise fail("run-is-evaluation", name=job.id)
        if job.kind is JobKind.GENERATE:
            raise fail("run-not-training", name=job.id, kind=job.kind.value)
        if job.status is not JobStatus.SUCCEEDED:
            raise fail("run-no-result", name=job.id, status=job.status.value)
        results = json.loads(self.jobs.read_text(job, "results.json") or "{}")
        if job.kind is JobKind.PIPELINE:
            if results["model"] is None:
                raise fail("pipeline-no-model", name=job.id)
            return self.finished(results["model"])
        if results.get("yields") == "reward_model":
            raise fail("run-scores", name=job.id)
        return job

    def evaluated(self, name: str) -> Job:
        """A finished evaluation; `last` is the newest one.

        Raises HextuneError where it is something else, or not finished.
        """
        job = self.newest(JobKind.EVALUATE) if name == "last" else self(name)
        if job.kind is not JobKind.EVALUATE or job.status is not JobStatus.SUCCEEDED:
            raise fail(
                "run-no-evaluation", name=job.id, kind=job.kind.value, status=job.status.value
            )
        return job

    def newest(self, *kinds: JobKind) -> Job:
        """The newest run of some kinds that is no step of another; the newest of all for none.

        Raises HextuneError where there is no run.
        """
        of_kind = (job for job in self.all() if job.kind in kinds and job.part_of is None)
        return next(of_kind, None) or self("last")

    def _true_state(self, job: Job) -> Job:
        if job.status.ended or self._in_hand(job):
            return job
        lost = problem("run-lost", name=job.id)
        return self.jobs.end(job, EventKind.FAILED, lost.as_json())

    def _in_hand(self, job: Job) -> bool:
        """Whether a worker is at the run, or may yet be given to it."""
        if job.worker is None:
            return self.surroundings.now() - job.queued_at < START_GRACE_S
        return self.launcher.alive(job.worker)
