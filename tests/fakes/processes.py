"""Worker processes that are only remembered, and a clock that moves when told."""

from collections.abc import Callable

from domain.job import Job, WorkerId


class FakeLauncher:
    """Implements ports.launcher.WorkerLauncher; `on_start` may play the worker."""

    def __init__(self, on_start: Callable[[Job, bool], None] | None = None) -> None:
        self.started: list[tuple[str, bool]] = []
        self.stopped: list[tuple[int, bool]] = []
        self.dead: set[int] = set()
        self._on_start = on_start

    def start(self, job: Job, resume: bool) -> WorkerId:
        self.started.append((job.id, resume))
        if self._on_start:
            self._on_start(job, resume)
        return WorkerId(pid=len(self.started), started_at=0.0)

    def stop(self, worker: WorkerId, *, now: bool = False) -> None:
        self.stopped.append((worker.pid, now))

    def alive(self, worker: WorkerId) -> bool:
        return worker.pid not in self.dead


class FakeSurroundings:
    """Implements ports.surroundings.Surroundings."""

    def __init__(self) -> None:
        self.time = 1_700_000_000.0
        self.tokens = iter(f"{number:06x}" for number in range(1000))

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds

    def token(self) -> str:
        return next(self.tokens)

    def folder(self) -> str:
        return "/work"
