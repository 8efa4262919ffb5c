"""Plan what a text asks for: a run, or a pipeline of them."""

from dataclasses import dataclass

from domain.run_plan import RunPlan
from entrypoints.services.plan_pipeline import PlannedPipeline, PlanPipeline
from entrypoints.services.plan_run import PlanRun
from ports.pipeline_reader import PipelineReader
from ports.spec_reader import SpecText


@dataclass(frozen=True, slots=True)
class PlanJob:
    """From text to a plan."""

    reader: PipelineReader
    plan_run: PlanRun
    plan_pipeline: PlanPipeline

    def __call__(self, text: SpecText) -> RunPlan | PlannedPipeline:
        """The plan of a run, or of every step. Raises HextuneError with every problem."""
        if self.reader.holds(text):
            return self.plan_pipeline(text)
        return self.plan_run(text).plan
