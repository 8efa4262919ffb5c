"""Check that a stage may start from what the runs under it have made."""

import json
from dataclasses import dataclass

from domain.errors import HextuneError, Place, Problem, problem
from domain.job import Job, JobKind, JobStatus
from domain.run_spec import RunSpec
from domain.stage import TrainingStage
from entrypoints.services.find_run import FindRun
from ports.catalog import Catalog
from ports.jobs import JobStore

RESULT = "/model"
"""End of the path of a run's result, in its folder."""


@dataclass(frozen=True, slots=True)
class CheckOrder:
    """Holds `TrainingStage.follows`; a model that no run made may come before every stage."""

    find: FindRun
    jobs: JobStore
    catalog: Catalog

    def __call__(self, spec: RunSpec) -> None:
        """Raises HextuneError where the run of the last adapter, or of the model, may not precede.

        Whether names are those of runs at all is seen when they are looked up.
        """
        key, name = "model.adapters", spec.model.adapters[-1] if spec.model.adapters else ""
        if not name and spec.model.name.endswith(RESULT):
            key, name = "model.name", spec.model.name.removesuffix(RESULT)
        job = self._run(name)
        if job is not None and job.kind is JobKind.TRAIN:
            recorded = json.loads(self.jobs.read_text(job, "spec.json") or "{}")
            earlier = self.stage(recorded["stage"]["name"])
            if key == "model.adapters" and earlier.yields == "reward_model":
                return  # said where adapters are looked up
            found = order_problem(self.stage(spec.stage.name), earlier, job.id, Place(field=key))
            if found is not None:
                raise HextuneError([found])

    def stage(self, name: str) -> TrainingStage:
        """A stage by name. Raises HextuneError for an unknown one."""
        found: TrainingStage = self.catalog.part("stages", name).STAGE
        return found

    def _run(self, name: str) -> Job | None:
        """The run called `name`, if that is one."""
        if name in ("", "last"):
            return None
        try:
            job = self.find(name)
            if job.kind is JobKind.PIPELINE and job.status is JobStatus.SUCCEEDED:
                return self.find.finished(job.id)
            return job
        except HextuneError as error:
            if error.problems[0].code != "run-missing":
                raise
            return None


def order_problem(
    stage: TrainingStage, earlier: TrainingStage, name: str, place: Place
) -> Problem | None:
    """What is wrong with `stage` starting from `name`, a result of `earlier`; None for nothing."""
    if stage.may_follow(earlier):
        return None
    return problem(
        "stage-may-not-follow",
        place,
        stage=stage.name,
        name=name,
        earlier=earlier.name,
        follows=", ".join(sorted(stage.follows)),
    )
