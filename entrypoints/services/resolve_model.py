"""What a person means by RUN|MODEL: a finished run with its adapter, or a model by name."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from domain.errors import HextuneError, fail
from domain.job import Job
from domain.model_handle import ModelHandle, ResolvedModel
from domain.run_spec import ModelSection
from entrypoints.services.find_adapters import FindAdapters
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
    adapters: FindAdapters

    def __call__(self, name: str) -> ResolvedModel:
        """The model. A run's name wins; raises HextuneError where neither is there."""
        try:
            job = self.find.finished(name)
        except HextuneError as error:
            if error.problems[0].code != "run-missing":
                raise
            handle = self.models.inspect(ModelSection(name=name))
            return ResolvedModel(label=name, handle=handle, created_at=0.0)
        return self._of_run(job)

    def together(self, names: Sequence[str]) -> ResolvedModel:
        """The first, with the others as its siblings. Raises HextuneError for those over others."""
        first, *others = [self(name) for name in names]
        for other in others:
            adapted = first.handle.adapters and other.handle.adapters
            if not adapted or _underneath(other) != _underneath(first):
                raise fail("serve-other-base", name=other.label, first=first.label)
        return replace(first, siblings=tuple(others))

    def under(self, name: str, adapters: tuple[str, ...]) -> ResolvedModel:
        """A model by name with adapters on it, in order: folders or finished runs."""
        section = self.adapters.in_section(ModelSection(name=name, adapters=adapters))
        handle = self.models.inspect(section)
        return ResolvedModel(label=adapters[-1], handle=handle, created_at=0.0)

    def _of_run(self, job: Job) -> ResolvedModel:
        text = self.jobs.read_text(job, "spec.json") or ""
        spec = self.reader.read(SpecText(text=text, format="json", source="spec.json")).spec
        results = json.loads(self.jobs.read_text(job, "results.json") or "{}")
        if results["adapter"]:
            base = self.models.inspect(replace(spec.model, adapters=()))
            base = base.stretched(spec.model.rope, spec.data.max_tokens)
            handle = replace(base, adapters=self.adapters.of_run(job))
        else:
            handle = self.models.inspect(ModelSection(name=f"{job.folder}/model"))
        return ResolvedModel(label=job.id, handle=handle, created_at=job.created_at)


def _underneath(model: ResolvedModel) -> ModelHandle:
    """What the last adapter lies over."""
    return replace(model.handle, adapters=tuple(model.handle.adapters[:-1]))
