"""What a person means by RUN|MODEL: a finished run with its adapter, or a model by name."""

import json
from dataclasses import dataclass, replace

from domain.errors import HextuneError
from domain.job import Job
from domain.model_handle import ResolvedModel
from domain.run_spec import ModelSection
from entrypoints.services.find_run import FindRun
from ports.jobs import JobStore
from ports.model import ModelBackend
from ports.spec_reader import SpecReader, SpecText


@dataclass(frozen=True, slots=True)
class ResolveModel:
    """Looks RUN|MODEL up."""

    find: FindRun
    jobs: JobStore
    models: ModelBackend
    reader: SpecReader

    def __call__(self, name: str) -> ResolvedModel:
        """The model. A run's name wins; raises HextuneError where neither is there."""
        try:
            job = self.find(name)
        except HextuneError as error:
            if error.problems[0].code != "run-missing":
                raise
            handle = self.models.inspect(ModelSection(name=name))
            return ResolvedModel(label=name, handle=handle, created_at=0.0)
        return self._of_run(self.find.finished(job.id))

    def _of_run(self, job: Job) -> ResolvedModel:
        text = self.jobs.read_text(job, "spec.json") or ""
        spec = self.reader.read(SpecText(text=text, format="json", source="spec.json")).spec
        results = json.loads(self.jobs.read_text(job, "results.json") or "{}")
        if results["adapter"]:
            base = self.models.inspect(spec.model)
            handle = replace(base, adapters=(f"{job.folder}/model",))
        else:
            handle = self.models.inspect(ModelSection(name=f"{job.folder}/model"))
        return ResolvedModel(label=job.id, handle=handle, created_at=job.created_at)
