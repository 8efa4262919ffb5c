"""Watch a run: its events in order, old ones first, until it ends."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from domain.events import JobEvent
from entrypoints.services.find_run import FindRun
from ports.jobs import JobStore
from ports.surroundings import Surroundings

POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class WatchRun:
    """Follows a run that any process may be training."""

    find: FindRun
    jobs: JobStore
    surroundings: Surroundings

    def __call__(
        self, name: str, after_seq: int = 0, gone: Callable[[], bool] = lambda: False
    ) -> Iterator[JobEvent]:
        """Events after `after_seq`; ends when the run has ended, or when `gone` says so."""
        while not gone():
            job = self.find(name)
            for event in self.jobs.events(job, after_seq):
                after_seq = event.seq
                yield event
            if job.status.ended:
                return
            self.surroundings.sleep(POLL_S)
