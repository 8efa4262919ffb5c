"""Worker processes: started, asked to stop, looked at."""

from typing import Protocol

from domain.job import Job, WorkerId


class WorkerLauncher(Protocol):
    """Starts worker processes that outlive the door which asked."""

    def start(self, job: Job, resume: bool) -> WorkerId:
        """Start a worker on `job`, in the job's working folder."""

    def stop(self, worker: WorkerId, *, now: bool = False) -> None:
        """Ask the worker to save and end; with `now`, end it without saving."""

    def alive(self, worker: WorkerId) -> bool:
        """Whether that very process still runs."""
