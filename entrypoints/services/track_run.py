"""Track a run: its figures go to every tracker of its spec, and none of them can stop it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from domain.errors import problem
from domain.events import EventKind
from domain.fingerprint import Json
from domain.job import Job
from domain.run_spec import RunSpec
from domain.tracking import tracked_figures
from ports.jobs import JobStore
from ports.tracker import OpenTracker, TrackedRun, Tracker
from ports.trainer import Emit


@dataclass(frozen=True, slots=True)
class TrackRun:
    """Trackers for a run's events."""

    jobs: JobStore
    open: OpenTracker

    @contextmanager
    def __call__(self, job: Job, spec: RunSpec, emit: Emit) -> Iterator[Emit]:
        """An `emit` that feeds the trackers as well, which are closed when the context ends.

        Trackers get each step once: a resumed worker trains steps after its checkpoint again, bit
        for bit, and what was tracked before is passed over.
        """
        seen = newest_steps(self.jobs, job)
        fed = _Fed(emit)
        run = TrackedRun(
            id=job.id,
            name=job.name,
            folder=job.folder,
            spec=spec.as_json(),
            resumed=bool(seen),
        )
        for part in spec.tracking.trackers:
            fed.attempt(str(part["name"]), lambda part=part: self.open(part, run))  # type: ignore[misc]

        def emit_and_track(kind: EventKind, data: Mapping[str, Json]) -> None:
            emit(kind, data)
            figures = tracked_figures(kind, data)
            if figures and int(data["step"]) > seen.get(kind, -1):  # type: ignore[arg-type]
                fed.record(int(data["step"]), figures)  # type: ignore[arg-type]

        succeeded = False
        try:
            yield emit_and_track
            succeeded = True
        finally:
            fed.close(succeeded)


def newest_steps(jobs: JobStore, job: Job) -> dict[EventKind, int]:
    """The newest step on record of each kind of event that trackers get."""
    found: dict[EventKind, int] = {}
    for event in jobs.events(job):
        if tracked_figures(event.kind, event.data):
            step = int(event.data["step"])  # type: ignore[arg-type]
            found[event.kind] = max(found.get(event.kind, -1), step)
    return found


class _Fed:
    """The trackers that still work."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._open: dict[str, Tracker] = {}

    def attempt(self, name: str, open: Callable[[], Tracker]) -> None:
        """Open one more."""

        def work() -> None:
            self._open[name] = open()

        self._guard(name, work)

    def record(self, step: int, figures: Mapping[str, float]) -> None:
        """Give all of them the figures of a step."""
        for name, tracker in list(self._open.items()):
            self._guard(name, lambda tracker=tracker: tracker.record(step, figures))  # type: ignore[misc]

    def close(self, succeeded: bool) -> None:
        """Close all of them."""
        for name, tracker in list(self._open.items()):
            self._guard(name, lambda tracker=tracker: tracker.close(succeeded=succeeded))  # type: ignore[misc]

    def _guard(self, name: str, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # other people's servers and disks: none may stop a run
            self._open.pop(name, None)
            reason = f"{type(error).__name__}: {error}"
            found = problem("tracker-failed", name=name, reason=reason)
            self._emit(EventKind.WARNING, found.as_json())
