"""Start an evaluation: read everything it asks for, record it, and hand it to a worker process."""

from dataclasses import dataclass, replace

from domain.fingerprint import canonical
from domain.job import Job, JobKind
from entrypoints.services.prepare_evaluation import PrepareEvaluation, measured_as, resolved_of
from entrypoints.services.record_job import record_and_start
from entrypoints.services.resolve_model import ResolveModel
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
        files = {
            "spec.json": canonical(spec.as_json()),
            f"spec.source.{text.format}": text.text,
            "overrides.json": canonical(list(text.overrides)),
        }
        return record_and_start(
            self.jobs,
            self.launcher,
            self.surroundings,
            files,
            name=spec.name,
            spec_hash=spec.hash,
            kind=JobKind.EVALUATE,
            request_id=request_id,
            total_steps=total,
        )
