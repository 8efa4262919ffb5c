"""Stop a run: it saves a checkpoint and ends, so that it can be resumed."""

from dataclasses import dataclass

from domain.errors import fail
from domain.job import Job
from entrypoints.services.find_run import FindRun
from ports.launcher import WorkerLauncher


@dataclass(frozen=True, slots=True)
class StopRun:
    """Asks a run's worker to end."""

    find: FindRun
    launcher: WorkerLauncher

    def __call__(self, name: str, *, now: bool = False) -> Job:
        """The job as it was when asked; with `now` the worker ends without saving.

        A pipeline hands a stop on to the run of its step; one that ends now cannot. Raises
        HextuneError where no worker is at the run.
        """
        job = self.find(name)
        if job.status.ended or job.worker is None:
            raise fail("run-not-running", name=job.id, status=job.status.value)
        self.launcher.stop(job.worker, now=now)
        for run in self.find.all() if now else ():
            if run.part_of and run.part_of.pipeline == job.id and run.worker:
                self.launcher.stop(run.worker, now=True)
        return job
