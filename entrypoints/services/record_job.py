"""Put a job on record, once, and hand it to a worker process."""

import re
import time
from collections.abc import Mapping
from typing import Any

from domain.errors import fail
from domain.events import EventKind
from domain.fingerprint import Json
from domain.job import Job
from ports.jobs import JobStore
from ports.launcher import WorkerLauncher
from ports.surroundings import Surroundings


def record_and_start(
    jobs: JobStore,
    launcher: WorkerLauncher,
    surroundings: Surroundings,
    files: Mapping[str, str],
    *,
    name: str,
    **facts: Any,
) -> Job:
    """The new job, which a worker has taken, or the earlier one with the same request id.

    `files` are what its folder starts with, `facts` the other fields of `Job`. Raises HextuneError
    where the earlier one was for another spec.
    """
    now = surroundings.now()
    job = Job(
        id=run_id(name, now, surroundings.token()),
        name=name,
        folder="",
        working_folder=surroundings.folder(),
        created_at=now,
        queued_at=now,
        **facts,
    )
    recorded = jobs.create(job, files)
    if recorded.spec_hash != job.spec_hash:
        raise fail("run-request-differs", request_id=job.request_id)
    if recorded.id != job.id:
        return recorded
    created: dict[str, Json] = {"spec_hash": job.spec_hash, "total_steps": job.total_steps}
    jobs.append(recorded, EventKind.CREATED, created)
    return jobs.assign(recorded, launcher.start(recorded, resume=False))


def run_id(name: str, now: float, token: str) -> str:
    """A run id that sorts by time and can be typed: 20261124-061500-name-a1b2c3."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "run"
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}-{slug}-{token}"
