"""Start a pipeline: plan every step, record the chain, and hand it to a worker process."""

from dataclasses import dataclass

from domain.fingerprint import canonical
from domain.job import Job, JobKind
from entrypoints.services.plan_pipeline import PlanPipeline
from entrypoints.services.record_job import record_and_start
from ports.jobs import JobStore
from ports.launcher import WorkerLauncher
from ports.spec_reader import SpecText
from ports.surroundings import Surroundings


@dataclass(frozen=True, slots=True)
class StartPipeline:
    """From text to a job that a worker has taken."""

    plan: PlanPipeline
    jobs: JobStore
    launcher: WorkerLauncher
    surroundings: Surroundings

    def __call__(self, text: SpecText, request_id: str | None = None) -> Job:
        """The new job, or the earlier one with the same request id.

        Raises HextuneError for every mistake in any step, its data or the place of its run.
        """
        planned = self.plan(text)
        self.jobs.check_writable(sum(step.disk_bytes for step in planned.steps))
        document, spec = planned.document, planned.document.spec
        files = {
            "spec.json": canonical(spec.as_json()),
            f"spec.source.{document.text.format}": document.text.text,
            "overrides.json": canonical(list(document.text.overrides)),
            "plan.json": canonical(planned.as_json()),
        }
        return record_and_start(
            self.jobs,
            self.launcher,
            self.surroundings,
            files,
            name=spec.name,
            spec_hash=spec.hash,
            kind=JobKind.PIPELINE,
            request_id=request_id,
            total_steps=sum(step.total_steps for step in planned.steps),
        )
