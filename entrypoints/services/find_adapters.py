"""What a person means by an adapter: a finished run with those it was trained over, or a folder."""

import json
from dataclasses import dataclass, replace

from domain.errors import HextuneError, Place, fail
from domain.job import Job
from domain.run_spec import ModelSection
from entrypoints.services.find_run import FindRun
from ports.jobs import JobStore
from ports.spec_reader import SpecReader, SpecText


@dataclass(frozen=True, slots=True)
class FindAdapters:
    """Turns names of adapters into folders, in the order they go onto a model."""

    find: FindRun
    jobs: JobStore
    reader: SpecReader

    def in_section(self, model: ModelSection) -> ModelSection:
        """The section with folders for names. Raises HextuneError for runs without an adapter."""
        stack: tuple[str, ...] = ()
        for name in model.adapters:
            own = self._of(name)
            # a run that was trained over what is there already brings it along once
            stack = own if own[: len(stack)] == stack else stack + own
        return replace(model, adapters=stack)

    def of_run(self, job: Job) -> tuple[str, ...]:
        """Adapters of a finished run: those it was trained over, then its own."""
        text = self.jobs.read_text(job, "spec.json") or ""
        spec = self.reader.read(SpecText(text=text, format="json", source="spec.json")).spec
        results = json.loads(self.jobs.read_text(job, "results.json") or "{}")
        if not results["adapter"]:
            raise fail("adapter-whole-run", Place(field="model.adapters"), name=job.id)
        before = self.in_section(spec.model).adapters
        if results.get("continued"):
            before = before[:-1]
        return (*before, f"{job.folder}/model")

    def _of(self, name: str) -> tuple[str, ...]:
        """A run's adapters, or the folder itself; whether it holds one is seen with the model."""
        if name == "last":
            raise fail("adapter-last", Place(field="model.adapters"))
        try:
            job = self.find(name)
        except HextuneError as error:
            if error.problems[0].code != "run-missing":
                raise
            return (name,)
        return self.of_run(self.find.finished(job.id))
