"""Start an evaluation: read everything it asks for, record it, and hand it to a worker process."""

from dataclasses import dataclass, replace

from domain.errors import fail
from domain.eval_spec import EvalSpec
from domain.events import EventKind
from domain.fingerprint import Json, canonical
from domain.job import Job, JobKind
from entrypoints.services.prepare_evaluation import PrepareEvaluation, measured_as, resolved_of
from entrypoints.services.resolve_model import ResolveModel
from entrypoints.services.start_run import run_id
from ports.eval_spec_reader import EvalSpecReader
from ports.jobs import JobStore
from ports.launcher import WorkerLauncher
from ports.spec_reader import SpecText
from ports.surroundings import Surroundings

RECORD_BYTES = 4096
"""What a measurement takes on disk, at most."""


@dataclass(frozen=True, slots=True)
class StartEvaluation:
    """From spec text to a job that a worker has taken."""

    reader: EvalSpecReader
    resolve: ResolveModel
    prepare: PrepareEvaluation
    jobs: JobStore
    launcher: WorkerLauncher
    surroundings: Surroundings

    def __call__(self, text: SpecText, request_id: str | None = None) -> Job:
        """The new job, or the earlier one with the same request id.

        Raises HextuneError for every mistake in the spec and the files it names.
        """
        asked = self.reader.read(text)
        resolved = resolved_of(asked, self.resolve)
        spec = asked
        if resolved is not None and not asked.model.adapters:
            # `last` or the beginning of an id would mean another run once this one is on record.
            spec = replace(asked, model=replace(asked.model, name=resolved.label))
        evaluations = self.prepare(spec, resolved)
        items = sum(len(task.items) for each in evaluations for task in each.tasks)
        total = items * len(measured_as(spec, resolved))
        self.jobs.check_writable(total * RECORD_BYTES)
        job, is_new = self._record(spec, text, total, request_id)
        if not is_new:
            return job
        return self.jobs.assign(job, self.launcher.start(job, resume=False))

    def _record(
        self, spec: EvalSpec, text: SpecText, total: int, request_id: str | None
    ) -> tuple[Job, bool]:
        """(the job on record, whether this call put it there)."""
        now = self.surroundings.now()
        job = Job(
            id=run_id(spec.name, now, self.surroundings.token()),
            name=spec.name,
            folder="",
            working_folder=self.surroundings.folder(),
            spec_hash=spec.hash,
            created_at=now,
            queued_at=now,
            kind=JobKind.EVALUATE,
            request_id=request_id,
            total_steps=total,
        )
        files = {
            "spec.json": canonical(spec.as_json()),
            f"spec.source.{text.format}": text.text,
            "overrides.json": canonical(list(text.overrides)),
        }
        recorded = self.jobs.create(job, files)
        if recorded.spec_hash != spec.hash:
            raise fail("run-request-differs", request_id=request_id)
        is_new = recorded.id == job.id
        if is_new:
            data: dict[str, Json] = {"spec_hash": spec.hash, "total_steps": total}
            self.jobs.append(recorded, EventKind.CREATED, data)
        return recorded, is_new
