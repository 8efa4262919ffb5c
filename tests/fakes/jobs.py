"""Runs kept in memory."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from domain.errors import fail
from domain.events import EventKind, JobEvent
from domain.fingerprint import Json
from domain.job import Job, JobStatus, WorkerId

STATES = {
    EventKind.SUCCEEDED: JobStatus.SUCCEEDED,
    EventKind.FAILED: JobStatus.FAILED,
    EventKind.STOPPED: JobStatus.STOPPED,
}


class FakeJobStore:
    """Implements ports.jobs.JobStore."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.files: dict[tuple[str, str], str] = {}
        self.log: dict[str, list[JobEvent]] = {}
        self.free_bytes = 10**15
        self._clock = itertools.count(1000)

    def check_writable(self, needed_bytes: int) -> None:
        if needed_bytes > self.free_bytes:
            raise fail(
                "output-disk-full", folder="memory", free=self.free_bytes, needed=needed_bytes
            )

    def create(self, job: Job, files: Mapping[str, str]) -> Job:
        for earlier in self.jobs.values():
            if job.request_id is not None and earlier.request_id == job.request_id:
                return earlier
        placed = replace(job, folder=f"/memory/{job.id}")
        self.jobs[job.id] = placed
        self.log[job.id] = []
        for name, text in files.items():
            self.files[job.id, name] = text
        return placed

    def get(self, name: str) -> Job:
        if name == "last" and self.jobs:
            return self.all()[0]
        found = [job for job in self.jobs.values() if name and job.id.startswith(name)]
        if len(found) != 1:
            raise fail("run-missing", name=name, folder="memory")
        return found[0]

    def all(self) -> Sequence[Job]:
        return sorted(self.jobs.values(), key=lambda job: (job.created_at, job.id), reverse=True)

    def save(self, job: Job) -> None:
        worker = self.jobs[job.id].worker
        self.jobs[job.id] = replace(job, worker=worker)

    def assign(self, job: Job, worker: WorkerId) -> Job:
        self.jobs[job.id] = replace(self.jobs[job.id], worker=worker)
        return self.jobs[job.id]

    def requeue(self, job: Job, queued_at: float) -> Job:
        self.jobs[job.id] = job.moved(
            JobStatus.QUEUED, queued_at=queued_at, worker=None, ended_at=None, problem=None
        )
        return self.jobs[job.id]

    def append(self, job: Job, kind: EventKind, data: Mapping[str, Json]) -> JobEvent:
        events = self.log[job.id]
        event = JobEvent(seq=len(events) + 1, at=float(next(self._clock)), kind=kind, data=data)
        events.append(event)
        return event

    def end(self, job: Job, kind: EventKind, data: Mapping[str, Json]) -> Job:
        now = self.jobs[job.id]
        if now.status.ended:
            return now
        event = self.append(job, kind, data)
        failed = dict(data) if kind is EventKind.FAILED else None
        self.jobs[job.id] = now.moved(STATES[kind], ended_at=event.at, problem=failed)
        return self.jobs[job.id]

    def events(self, job: Job, after_seq: int = 0) -> Iterator[JobEvent]:
        return iter([event for event in self.log[job.id] if event.seq > after_seq])

    def read_text(self, job: Job, name: str) -> str | None:
        return self.files.get((job.id, name))

    def write_text(self, job: Job, name: str, text: str) -> None:
        self.files[job.id, name] = text

    def append_line(self, job: Job, name: str, line: str) -> None:
        self.files[job.id, name] = self.files.get((job.id, name), "") + line + "\n"

    def lines(self, job: Job, name: str) -> Iterator[str]:
        return iter(self.files.get((job.id, name), "").split("\n")[:-1])
