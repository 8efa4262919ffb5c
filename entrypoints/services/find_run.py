"""Find runs as they are now: a run whose worker has died is recorded as failed."""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.errors import fail, problem
from domain.events import EventKind
from domain.job import Job, JobStatus
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
        """A run by id, unique beginning, path, or `last`. Raises HextuneError for none."""
        return self._true_state(self.jobs.get(name))

    def all(self) -> Sequence[Job]:
        """Every run, newest first."""
        return [self._true_state(job) for job in self.jobs.all()]

    def finished(self, name: str) -> Job:
        """A run that has a result. Raises HextuneError where it has none yet."""
        job = self(name)
        if job.status is not JobStatus.SUCCEEDED:
            raise fail("run-no-result", name=job.id, status=job.status.value)
        return job

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
