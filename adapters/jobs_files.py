"""Runs as folders of files: the record, numbered events as JSON lines, and what a run makes.

<runs>/<id>/job.json        state, replaced atomically
<runs>/<id>/worker.json     the process at it
<runs>/<id>/events.jsonl    one event a line, flushed to disk before `append` returns
"""

import fcntl
import itertools
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from domain.budget import shown_bytes
from domain.errors import HextuneError, fail
from domain.events import EventKind, JobEvent
from domain.fingerprint import Json
from domain.job import Job, JobStatus, WorkerId

STATES = {
    EventKind.SUCCEEDED: JobStatus.SUCCEEDED,
    EventKind.FAILED: JobStatus.FAILED,
    EventKind.STOPPED: JobStatus.STOPPED,
}


class FileJobStore:
    """Implements ports.jobs.JobStore over one folder."""

    def __init__(self, folder: str) -> None:
        self._root = Path(folder).absolute()

    def check_writable(self, needed_bytes: int) -> None:
        """Make the folder, write a file in it, read it back, and look at the free space."""
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._root, prefix=".probe-") as probe:
                probe.write(b"hextune")
                probe.flush()
                os.fsync(probe.fileno())
        except OSError as error:
            reason = error.strerror or str(error)
            raise fail("output-unwritable", folder=self._root, reason=reason) from None
        free = shutil.disk_usage(self._root).free
        if free < needed_bytes:
            raise fail(
                "output-disk-full",
                folder=self._root,
                free=shown_bytes(free),
                needed=shown_bytes(needed_bytes),
            )

    def create(self, job: Job, files: Mapping[str, str]) -> Job:
        """Build the run folder beside its place, then move it there whole."""
        with self._lock(self._root / ".create.lock"):
            earlier = self._earlier(job.request_id)
            if earlier is not None:
                return earlier
            building = Path(tempfile.mkdtemp(dir=self._root, prefix=".new-"))
            building.chmod(0o755)
            target = self._root / job.id
            placed = replace(job, folder=str(target))
            for name, text in files.items():
                (building / name).write_text(text, encoding="utf-8")
            (building / "job.json").write_text(json.dumps(placed.as_json()), encoding="utf-8")
            building.rename(target)
            if job.request_id is not None:
                self._request(job.request_id).write_text(job.id, encoding="utf-8")
            return placed

    def get(self, name: str) -> Job:
        """A run by id, unique beginning of an id, path of its folder, or `last`."""
        if name == "last":
            runs = self.all()
            if runs:
                return runs[0]
        elif (Path(name) / "job.json").exists():
            return _read(Path(name))
        elif name and "/" not in name:
            found = [path for path in self._folders() if path.name.startswith(name)]
            found = [path for path in found if path.name == name] or found
            if len(found) == 1:
                return _read(found[0])
        raise fail("run-missing", name=name, folder=self._root)

    def all(self) -> Sequence[Job]:
        """Every run that can be read, newest first."""
        jobs = []
        for folder in self._folders():
            try:
                jobs.append(_read(folder))
            except HextuneError:
                continue
        return sorted(jobs, key=lambda job: (job.created_at, job.id), reverse=True)

    def save(self, job: Job) -> None:
        """Replace job.json."""
        self.write_text(job, "job.json", json.dumps(job.as_json()))

    def assign(self, job: Job, worker: WorkerId) -> Job:
        """Write worker.json."""
        self.write_text(
            job, "worker.json", json.dumps({"pid": worker.pid, "at": worker.started_at})
        )
        return replace(job, worker=worker)

    def requeue(self, job: Job, queued_at: float) -> Job:
        """Take the old worker off the record, then the old end."""
        with self._lock(Path(job.folder) / ".lock"):
            (Path(job.folder) / "worker.json").unlink(missing_ok=True)
            queued = _queued(job, queued_at)
            self.save(queued)
            return queued

    def append(self, job: Job, kind: EventKind, data: Mapping[str, Json]) -> JobEvent:
        """Number the event after the last whole line, write it, and wait for the disk."""
        with self._lock(Path(job.folder) / ".lock"):
            return _append(job, kind, data)

    def end(self, job: Job, kind: EventKind, data: Mapping[str, Json]) -> Job:
        """Record the end unless one is on record already."""
        with self._lock(Path(job.folder) / ".lock"):
            now = _read(Path(job.folder))
            if now.status.ended:
                return now
            event = _append(job, kind, data)
            failed = dict(data) if kind is EventKind.FAILED else None
            ended = now.moved(STATES[kind], ended_at=event.at, problem=failed)
            self.save(ended)
            return ended

    def events(self, job: Job, after_seq: int = 0) -> Iterator[JobEvent]:
        """Whole lines of events.jsonl after a number; a line still being written is left out.

        Line N holds event N, so earlier lines are passed over without being parsed.
        """
        try:
            with (Path(job.folder) / "events.jsonl").open(encoding="utf-8") as lines:
                for line in itertools.islice(lines, after_seq, None):
                    if not line.endswith("\n"):
                        return
                    event = json.loads(line)
                    yield JobEvent(**{**event, "kind": EventKind(event["kind"])})
        except FileNotFoundError:
            return

    def read_text(self, job: Job, name: str) -> str | None:
        """A file's text, or None where it is not there."""
        try:
            return (Path(job.folder) / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def write_text(self, job: Job, name: str, text: str) -> None:
        """Write beside the file, then replace it."""
        target = Path(job.folder) / name
        beside = target.with_name(f".{name}.{os.getpid()}.{threading.get_ident()}")
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)

    def append_line(self, job: Job, name: str, line: str) -> None:
        """Cut off a torn last line, left by a killed process, and write after the whole ones."""
        with (Path(job.folder) / name).open("ab+") as file:
            _whole_tail(file)
            file.write(line.encode() + b"\n")

    def lines(self, job: Job, name: str) -> Iterator[str]:
        """Lines up to the last that is closed."""
        try:
            with (Path(job.folder) / name).open(encoding="utf-8") as lines:
                yield from (line.rstrip("\n") for line in lines if line.endswith("\n"))
        except FileNotFoundError:
            return

    def _folders(self) -> list[Path]:
        if not self._root.is_dir():
            return []
        return [
            path
            for path in self._root.iterdir()
            if not path.name.startswith(".") and (path / "job.json").exists()
        ]

    def _request(self, request_id: str) -> Path:
        return self._root / f".request-{sha256(request_id.encode()).hexdigest()}"

    def _earlier(self, request_id: str | None) -> Job | None:
        if request_id is None or not self._request(request_id).exists():
            return None
        return self.get(self._request(request_id).read_text(encoding="utf-8"))

    @contextmanager
    def _lock(self, path: Path) -> Iterator[None]:
        with path.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _queued(job: Job, queued_at: float) -> Job:
    return job.moved(
        JobStatus.QUEUED, queued_at=queued_at, worker=None, ended_at=None, problem=None
    )


def _read(folder: Path) -> Job:
    try:
        job = Job.from_json(json.loads((folder / "job.json").read_text(encoding="utf-8")))
        worker = folder / "worker.json"
        if worker.exists():
            values: dict[str, Any] = json.loads(worker.read_text(encoding="utf-8"))
            job = replace(job, worker=WorkerId(pid=values["pid"], started_at=values["at"]))
        return replace(job, folder=str(folder.absolute()))
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise fail("run-damaged", folder=folder, reason=error) from None


def _append(job: Job, kind: EventKind, data: Mapping[str, Json]) -> JobEvent:
    path = Path(job.folder) / "events.jsonl"
    with path.open("ab+") as file:
        seq = _last_seq(file) + 1
        event = JobEvent(seq=seq, at=time.time(), kind=kind, data=data)
        file.write(json.dumps(event.as_json(), ensure_ascii=False).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return event


def _last_seq(file: Any) -> int:
    """Number of the last whole line."""
    lines = _whole_tail(file).splitlines()
    return int(json.loads(lines[-1])["seq"]) if lines else 0


def _whole_tail(file: Any) -> bytes:
    """The last whole lines; a torn last line, left by a killed process, is cut off."""
    size = file.seek(0, os.SEEK_END)
    block = min(size, 1 << 20)
    file.seek(size - block)
    tail: bytes = file.read(block)
    whole = tail.rfind(b"\n") + 1
    if whole < len(tail):
        file.truncate(size - len(tail) + whole)
    return tail[:whole]
