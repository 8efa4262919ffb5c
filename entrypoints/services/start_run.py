"""Start a run: plan it, record it, and hand it to a worker process."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from domain.budget import shown_bytes
from domain.checkpoint import disk_bytes
from domain.fingerprint import canonical
from domain.job import Job, PartOf
from domain.run_plan import RunPlan
from domain.run_spec import RunSpec
from entrypoints.services.plan_run import Planned, PlanRun
from entrypoints.services.record_job import record_and_start
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
        spec = planned.document.spec
        return record_and_start(
            self.jobs,
            self.launcher,
            self.surroundings,
            {**run_files(planned), **beside},
            name=spec.name,
            spec_hash=spec.hash,
            request_id=request_id,
            total_steps=planned.plan.steps.total_steps,
            part_of=part_of,
        )


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
