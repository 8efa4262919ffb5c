"""Plan a pipeline: every step as a run, and every mistake of all of them, before anything runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from domain.checkpoint import disk_bytes
from domain.errors import HextuneError, Problem
from domain.pairing import standing_in
from domain.pipeline import STEP, references
from domain.run_plan import RunPlan
from domain.run_spec import RunSpec
from entrypoints.services.coming import Coming, ComingModels, ComingRows, ComingTrainer
from entrypoints.services.generate_pairs import prompts_of, writing_model
from entrypoints.services.plan_run import PlanRun
from entrypoints.services.prepare_data import PrepareData
from ports.datasets import RowReader
from ports.pipeline_reader import PipelineDocument, PipelineReader, StepDocument
from ports.spec_reader import SpecText


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """One step, planned."""

    name: str
    """The step's name."""
    source: str | None
    """The step it goes on from."""
    spec: RunSpec
    """Its spec, with references."""
    plan: RunPlan | None
    """The plan of a step that trains."""
    prompts: int
    """Prompts that a step which writes rows answers; 0 for one that trains."""
    unknown: Sequence[str]
    """What is not known before earlier steps have run."""

    @property
    def total_steps(self) -> int:
        """Optimizer steps, or prompts."""
        return self.plan.steps.total_steps if self.plan else self.prompts

    @property
    def disk_bytes(self) -> int:
        """What it writes to disk; rows of text count for nothing."""
        return disk_bytes(self.spec, self.plan) if self.plan else 0

    def as_json(self) -> dict[str, object]:
        """Plain JSON values."""
        return {
            "name": self.name,
            "from": self.source,
            "total_steps": self.total_steps,
            "unknown": list(self.unknown),
            "plan": self.plan.as_json() if self.plan else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPipeline:
    """A pipeline, planned."""

    document: PipelineDocument
    """As it was read."""
    steps: Sequence[PlannedStep]
    """In the order they run."""

    def as_json(self) -> dict[str, object]:
        """Plain JSON values."""
        return {"steps": [step.as_json() for step in self.steps]}


@dataclass(frozen=True, slots=True)
class PlanPipeline:
    """From text to the plans of all steps."""

    reader: PipelineReader
    plan: PlanRun
    rows: RowReader

    def __call__(self, text: SpecText) -> PlannedPipeline:
        """The plans. Raises HextuneError with every problem of every step."""
        document = self.reader.read(text)
        problems: list[Problem] = list(document.problems)
        coming, steps = Coming(), list[PlannedStep]()
        plan = self._over(coming)
        for step in document.steps:
            if not _known(step, coming):
                continue  # what it starts from has mistakes of its own, which are told
            try:
                steps.append(self._planned(step, coming, plan))
            except HextuneError as error:
                placed = [step.document.placed(each) for each in error.problems]
                problems += [each for each in placed if each not in problems]
            coming.specs[step.name] = step.document.spec
        if problems:
            raise HextuneError(problems)
        return PlannedPipeline(document=document, steps=steps)

    def _over(self, coming: Coming) -> PlanRun:
        """PlanRun over what steps will have made."""
        return replace(
            self.plan,
            models=ComingModels(self.plan.models, self.plan.adapters, coming),
            trainer=ComingTrainer(self.plan.trainer, coming),
            prepare=PrepareData(ComingRows(self.rows, coming), self.plan.prepare.cache),
        )

    def _planned(self, step: StepDocument, coming: Coming, plan: PlanRun) -> PlannedStep:
        spec, made = step.document.spec, None
        prompts: Sequence[Mapping[str, object]] = ()
        if step.generate is None:
            made = plan.of(step.document).plan
            coming.facts[step.name], coming.models[step.name] = made.trainer, made.model
        else:
            found = prompts_of(ComingRows(self.rows, coming), spec)
            writing_model(plan.models, plan.adapters, spec)
            prompts = [standing_in(row.row).as_json() for row in found]
            coming.rows[step.name] = list(prompts)
        return PlannedStep(
            name=step.name,
            source=step.source,
            spec=spec,
            plan=made,
            prompts=len(prompts),
            unknown=tuple(_unknown(step, spec)),
        )


def _known(step: StepDocument, coming: Coming) -> bool:
    """Whether every step it refers to could be read."""
    named = {name for _, name in references(step.document.spec.as_json())}
    return named <= coming.specs.keys()


def _unknown(step: StepDocument, spec: RunSpec) -> list[str]:
    """What the plan cannot know yet, for people."""
    found = []
    if step.source is not None:
        what = "adapter" if spec.model.adapters else "weights"
        found.append(f"the {what} of step {step.source}: planned on the shapes they will have")
    for source in spec.data.train:
        if source.name.startswith(STEP):
            name = source.name.removeprefix(STEP)
            found.append(f"the rows of step {name}: the prompts' own answers stand in for them")
    for _, name in references(spec.stage.options):
        found.append(f"the reward model of step {name}: planned on the size it will have")
    return found
