"""Resume a stopped or failed run from its newest complete checkpoint."""

from dataclasses import dataclass

from domain.errors import fail
from domain.job import Job
from entrypoints.services.find_run import FindRun
from ports.jobs import JobStore
from ports.launcher import WorkerLauncher
from ports.surroundings import Surroundings


@dataclass(frozen=True, slots=True)
class ResumeRun:
    """Hands a run back to a worker."""

    find: FindRun
    jobs: JobStore
    launcher: WorkerLauncher
    surroundings: Surroundings

    def __call__(self, name: str) -> Job:
        """The job, queued again. Raises HextuneError where it is running or has succeeded."""
        job = self.find(name)
        if not job.status.resumable:
            raise fail("run-not-resumable", name=job.id, status=job.status.value)
        self.jobs.check_writable(0)
        queued = self.jobs.requeue(job, self.surroundings.now())
        return self.jobs.assign(queued, self.launcher.start(queued, resume=True))
