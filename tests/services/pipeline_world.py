"""The use cases of pipelines over fakes: rows that runs write can be read by others."""

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

from dependency_injector import providers

from adapters.catalog import FolderCatalog
from adapters.engines.echo import Engine
from domain.errors import fail
from domain.events import EventKind
from domain.job import Job
from domain.model_handle import ModelHandle
from domain.pipeline import ROWS_FILE
from domain.run_plan import TrainerFacts
from domain.run_spec import RunSpec
from ports.trainer import Emit, TrainOutcome, TrainRequest
from tests.fakes.training import FakeTrainer
from tests.services.world import World, spec_text

CHAIN = """\
name: chain
model: {name: fake}
data: {train: [{path: rows.jsonl}]}
schedule: {max_steps: 3}
pipeline:
  - name: sft
  - {name: write, generate: {max_tokens: 5}}
  - {name: dpo, stage: {name: dpo}, data: {train: [{path: 'step:write'}]}}
"""
ROWS: dict[str, list[Mapping[str, object]]] = {
    "rows.jsonl": [
        {"instruction": f"Question {number}?", "output": f"Answer {number}."} for number in range(8)
    ],
}


class StagedTrainer(FakeTrainer):
    """A trainer that knows its stages' rows; it breaks at one where told."""

    def __init__(self, breaks: str = "") -> None:
        self.breaks = breaks

    def facts(self, spec: RunSpec, model: ModelHandle) -> TrainerFacts:
        stage = FolderCatalog().part("stages", spec.stage.name).STAGE
        continues = spec.method.name == "continued"
        found = super().facts(spec, model)
        return replace(found, eats=stage.eats, yields=stage.yields, continues=continues)

    def train(self, request: TrainRequest, emit: Emit) -> TrainOutcome:
        if request.spec.stage.name == self.breaks:
            raise fail("run-data-changed")
        return super().train(request, emit)


class PipelineWorld(World):
    """Fakes, with an engine that says the question again and rows that runs have written."""

    def __init__(self, **named: Any) -> None:
        super().__init__(rows=deepcopy(ROWS), **named)
        self.put(trainer=StagedTrainer())
        self.rows: Any = self.container.rows()
        self.container.open_engine.override(providers.Callable(lambda made: Engine(made, None)))  # type: ignore[arg-type]
        write_text = self.jobs.write_text

        def written(job: Job, name: str, text: str) -> None:
            write_text(job, name, text)
            if name == ROWS_FILE:
                lines = [json.loads(line) for line in text.splitlines()]
                self.rows.files[f"{job.folder}/{name}"] = lines

        self.jobs.write_text = written

    def begin(self, text: str = CHAIN, request_id: str | None = None) -> Job:
        """Start a pipeline; with a worker it is run at once."""
        started: Job = self.container.start_job()(spec_text(text), request_id)
        return started

    def work(
        self, job: Job, *, resume: bool = False, stop: Callable[[], bool] | None = None
    ) -> Job:
        """Play the pipeline's own worker."""
        does = self.container.execute_pipeline()
        ended: Job = does(job.id, resume=resume, stop_asked=stop or (lambda: False))
        return ended

    def parts(self, job: Job) -> dict[str, Job]:
        """The runs of its steps."""
        return {
            run.part_of.step: run
            for run in self.jobs.all()
            if run.part_of is not None and run.part_of.pipeline == job.id
        }

    def said(self, job: Job, kind: EventKind) -> list[Any]:
        return [event.data for event in self.jobs.events(job) if event.kind is kind]
