"""Fine-tuned models by name: finished jobs and whole checkpoints, ready to be served."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from domain.errors import HextuneError, fail
from domain.fine_tuning import FineTunedName, parsed_name
from domain.job import Job, JobStatus
from domain.model_handle import ResolvedModel
from domain.sampling import ServedModel
from entrypoints.services.find_adapters import FindAdapters
from entrypoints.services.fine_tune_jobs import COMPLETE, FineTuneJob, FineTuneJobs
from entrypoints.services.resolve_model import ResolveModel
from ports.jobs import JobStore
from ports.model import ModelBackend
from ports.spec_reader import SpecReader, SpecText

REMOVED = "model_removed.json"
"""File of a run folder: its model is served no more. The weights stay where they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTunedModels:
    """What runs have made, by the names of OpenAI's API."""

    listing: FineTuneJobs
    jobs: JobStore
    models: ModelBackend
    reader: SpecReader
    adapters: FindAdapters
    resolve_run: ResolveModel

    def over(self, base: str) -> Sequence[ServedModel]:
        """Adapters of finished jobs over a base, newest first."""
        found = []
        for run in self.listing.all():
            if run.status is JobStatus.SUCCEEDED and self._is_adapter(run):
                under, name = self.listing.named(run)
                if under == base:
                    found.append(_served(run, base, name))
        return found

    def resolve(self, name: str, loaded: str) -> ResolvedModel:
        """What to load for a name over the base `loaded`.

        Raises HextuneError where there is no such model, or it lies over another base.
        """
        job, step = self._named(name)
        run, base = job.run, job.spec["model"]["name"]
        if base != loaded:
            raise fail("model-other-base", name=name, base=base, loaded=loaded, run=run.id)
        if step is not None:
            return self._checkpoint(name, job, step)
        if not self._is_adapter(run):
            raise fail("model-whole", name=name, loaded=loaded, run=run.id)
        return replace(self.resolve_run(run.id), label=name)

    def remove(self, name: str) -> None:
        """Serve a model no more. Raises HextuneError where it is none of ours."""
        if parsed_name(name) is None:
            raise fail("model-not-own", name=name)
        job, _ = self._named(name)
        self.jobs.write_text(job.run, REMOVED, json.dumps({"name": name}))

    def run_of(self, name: str) -> str:
        """The run a name speaks of. Raises HextuneError for none."""
        return self._named(name)[0].run.id

    def _named(self, name: str) -> tuple[FineTuneJob, int | None]:
        parsed = parsed_name(name)
        missing = fail("model-not-served", name=name, names="GET /v1/models")
        if parsed is None:
            raise missing
        try:
            job = self.listing.get(parsed.run)
        except HextuneError:
            raise missing from None
        if not self._is_there(job, parsed, name):
            raise missing
        return job, parsed.step

    def _is_there(self, job: FineTuneJob, parsed: FineTunedName, name: str) -> bool:
        if job.model_name(parsed.step) != name or self.jobs.read_text(job.run, REMOVED):
            return False
        return parsed.step is not None or job.run.status is JobStatus.SUCCEEDED

    def _is_adapter(self, run: Job) -> bool:
        """Whether a finished run's result is an adapter that writes and is not removed."""
        results = json.loads(self.jobs.read_text(run, "results.json") or "{}")
        writes = results.get("yields") != "reward_model"
        return bool(results.get("adapter")) and writes and not self.jobs.read_text(run, REMOVED)

    def _checkpoint(self, name: str, job: FineTuneJob, step: int) -> ResolvedModel:
        """The model of a checkpoint: the adapters underneath, then the checkpoint itself."""
        folder = f"checkpoints/checkpoint-{step}"
        if self.jobs.read_text(job.run, f"{folder}/{COMPLETE}") is None:
            raise fail("model-checkpoint-unfit", name=name, reason="it is not there any more")
        trainer = json.loads(self.jobs.read_text(job.run, "plan.json") or "{}")["trainer"]
        if not trainer["adapter_based"] or trainer["changes_base"]:
            reason = "only checkpoints of plain adapters lie over the base"
            raise fail("model-checkpoint-unfit", name=name, reason=reason)
        text = SpecText(text=json.dumps(job.spec), format="json", source="spec.json")
        spec = self.reader.read(text).spec
        before = self.adapters.in_section(spec.model).adapters
        if trainer["continues"]:
            before = before[:-1]
        base = self.models.inspect(replace(spec.model, adapters=()))
        base = base.stretched(spec.model.rope, spec.data.max_tokens)
        handle = replace(base, adapters=(*before, f"{job.run.folder}/{folder}"))
        return ResolvedModel(label=name, handle=handle, created_at=job.run.created_at)


def _served(run: Job, base: str, name: str) -> ServedModel:
    return ServedModel(
        name=name,
        base=base,
        adapter=f"{run.folder}/model",
        created_at=run.ended_at or run.created_at,
    )
