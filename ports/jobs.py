"""Runs on record: their state, events and files."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from domain.events import EventKind, JobEvent
from domain.fingerprint import Json
from domain.job import Job, WorkerId


class JobStore(Protocol):
    """All runs of one folder."""

    def check_writable(self, needed_bytes: int) -> None:
        """Raises HextuneError where runs cannot be written here or the disk lacks the room."""

    def create(self, job: Job, files: Mapping[str, str]) -> Job:
        """Record a new run with its first files (name to text); it is whole or not there at all.

        With a request id that is on record, the earlier job is returned instead.
        """

    def get(self, name: str) -> Job:
        """A run by id, unique beginning, path, or `last`. Raises HextuneError for none."""

    def all(self) -> Sequence[Job]:
        """Every run, newest first."""

    def save(self, job: Job) -> None:
        """Replace the record of a job, atomically; its worker is recorded by `assign`."""

    def assign(self, job: Job, worker: WorkerId) -> Job:
        """Record the process that is at a job."""

    def requeue(self, job: Job, queued_at: float) -> Job:
        """Record that an ended run waits for a worker again; it has none until `assign`."""

    def append(self, job: Job, kind: EventKind, data: Mapping[str, Json]) -> JobEvent:
        """Record the next event; it is on disk when the call returns."""

    def end(self, job: Job, kind: EventKind, data: Mapping[str, Json]) -> Job:
        """Record that a run ended, event and state together; the first end on record stays."""

    def events(self, job: Job, after_seq: int = 0) -> Iterator[JobEvent]:
        """Events after a number, as far as there are any now."""

    def read_text(self, job: Job, name: str) -> str | None:
        """A file of the run folder, or None where it is not there."""

    def write_text(self, job: Job, name: str, text: str) -> None:
        """Write a file of the run folder, atomically."""

    def append_line(self, job: Job, name: str, line: str) -> None:
        """Add a line to a file of the run folder, after its last whole line."""

    def lines(self, job: Job, name: str) -> Iterator[str]:
        """The whole lines of a file of the run folder; none where it is not there."""
