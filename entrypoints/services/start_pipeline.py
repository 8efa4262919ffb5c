"""Start a pipeline: plan every step, record the chain, and hand it to a worker process."""

from dataclasses import dataclass

from domain.errors import fail
from domain.events import EventKind
from domain.fingerprint import Json, canonical
from domain.job import Job, JobKind
from entrypoints.services.plan_pipeline import PlannedPipeline, PlanPipeline
from entrypoints.services.start_run import run_id
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
        job, is_new = self._record(planned, request_id)
        if not is_new:
            return job
        return self.jobs.assign(job, self.launcher.start(job, resume=False))

    def _record(self, planned: PlannedPipeline, request_id: str | None) -> tuple[Job, bool]:
        """(the job on record, whether this call put it there)."""
        document, spec = planned.document, planned.document.spec
        now = self.surroundings.now()
        job = Job(
            id=run_id(spec.name, now, self.surroundings.token()),
            name=spec.name,
            folder="",
            working_folder=self.surroundings.folder(),
            spec_hash=spec.hash,
            created_at=now,
            queued_at=now,
            kind=JobKind.PIPELINE,
            request_id=request_id,
            total_steps=sum(step.total_steps for step in planned.steps),
        )
        files = {
            "spec.json": canonical(spec.as_json()),
            f"spec.source.{document.text.format}": document.text.text,
            "overrides.json": canonical(list(document.text.overrides)),
            "plan.json": canonical(planned.as_json()),
        }
        recorded = self.jobs.create(job, files)
        if recorded.spec_hash != spec.hash:
            raise fail("run-request-differs", request_id=request_id)
        is_new = recorded.id == job.id
        if is_new:
            data: dict[str, Json] = {"spec_hash": spec.hash, "total_steps": job.total_steps}
            self.jobs.append(recorded, EventKind.CREATED, data)
        return recorded, is_new
