"""Start a run: plan it, record it, and hand it to a worker process."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from domain.budget import shown_bytes
from domain.checkpoint import disk_bytes
from domain.errors import fail
from domain.events import EventKind
from domain.fingerprint import canonical
from domain.job import Job, PartOf
from domain.run_plan import RunPlan
from domain.run_spec import RunSpec
from entrypoints.services.plan_run import Planned, PlanRun
from ports.jobs import JobStore
from ports.launcher import WorkerLauncher
from ports.spec_reader import SpecText
from ports.surroundings import Surroundings

NOTHING: Mapping[str, str] = MappingProxyType({})
"""No files beside a run's own."""


@dataclass(frozen=True, slots=True)
class StartRun:
    """From spec text to a job that a worker has taken."""

    plan: PlanRun
    jobs: JobStore
    launcher: WorkerLauncher
    surroundings: Surroundings

    def __call__(
        self,
        text: SpecText,
        request_id: str | None = None,
        beside: Mapping[str, str] = NOTHING,
        part_of: PartOf | None = None,
    ) -> Job:
        """The new job, or the earlier one with the same request id; `beside` are a door's files.

        A step of a pipeline says what it is part of.

        Raises HextuneError for every mistake in the spec, the data or the place of the run.
        """
        planned = self.plan(text)
        self.jobs.check_writable(disk_bytes(planned.document.spec, planned.plan))
        job, is_new = self._record(planned, request_id, beside, part_of)
        if not is_new:
            return job
        return self.jobs.assign(job, self.launcher.start(job, resume=False))

    def _record(
        self,
        planned: Planned,
        request_id: str | None,
        beside: Mapping[str, str],
        part_of: PartOf | None,
    ) -> tuple[Job, bool]:
        """(the job on record, whether this call put it there)."""
        spec = planned.document.spec
        now = self.surroundings.now()
        job = Job(
            id=run_id(spec.name, now, self.surroundings.token()),
            name=spec.name,
            folder="",
            working_folder=self.surroundings.folder(),
            spec_hash=spec.hash,
            created_at=now,
            queued_at=now,
            request_id=request_id,
            total_steps=planned.plan.steps.total_steps,
            part_of=part_of,
        )
        recorded = self.jobs.create(job, {**run_files(planned), **beside})
        if recorded.spec_hash != spec.hash:
            raise fail("run-request-differs", request_id=request_id)
        if recorded.id == job.id:
            self.jobs.append(
                recorded,
                EventKind.CREATED,
                {"spec_hash": spec.hash, "total_steps": job.total_steps},
            )
        return recorded, recorded.id == job.id


def run_id(name: str, now: float, token: str) -> str:
    """A run id that sorts by time and can be typed: 20261124-061500-name-a1b2c3."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "run"
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}-{slug}-{token}"


def run_files(planned: Planned) -> Mapping[str, str]:
    """The files a run folder starts with."""
    text = planned.document.text
    return {
        "spec.json": canonical(planned.document.spec.as_json()),
        f"spec.source.{text.format}": text.text,
        "overrides.json": canonical(list(text.overrides)),
        "plan.json": canonical(planned.plan.as_json()),
    }


def shown_disk(spec: RunSpec, plan: RunPlan) -> str:
    """`disk_bytes` for people."""
    return shown_bytes(disk_bytes(spec, plan))
