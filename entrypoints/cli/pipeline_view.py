"""The plan of a pipeline on the terminal: the chain first, then every step's own plan."""

import sys
from collections.abc import Collection
from typing import TYPE_CHECKING

from domain.run_plan import Origin
from entrypoints.cli.render import show_plan, table

if TYPE_CHECKING:
    from entrypoints.services.plan_pipeline import PlannedPipeline, PlannedStep


def show_pipeline(planned: "PlannedPipeline", hidden: Collection[Origin]) -> None:
    """The steps in one table, what is not known yet, and a plan for each that trains."""
    rows = [
        (step.name, step.source or step.spec.model.name, *_work(step)) for step in planned.steps
    ]
    print(table(rows, ("STEP", "FROM", "DOES", "STEPS")))
    for step in planned.steps:
        if step.plan is not None:
            print(f"\n== {step.name} ==")
            show_plan(step.plan, hidden)
    for step in planned.steps:
        for what in step.unknown:
            print(f"{step.name}: not known yet: {what}", file=sys.stderr)


def _work(step: "PlannedStep") -> tuple[str, str]:
    """What a step does, and how many steps or prompts that are."""
    if step.plan is None:
        return "write rows", f"{step.prompts} prompts"
    return f"{step.spec.stage.name}, {step.spec.method.name}", str(step.total_steps)
