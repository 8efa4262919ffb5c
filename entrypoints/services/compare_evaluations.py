"""Compare two evaluations: what both measured, item by item, by the content of the items."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from domain.errors import fail
from domain.eval_results import EvaluationResult, Measured, Resampling, result_of, valued
from domain.job import Job
from domain.measurement import Measurement, Metric
from entrypoints.services.evaluate_model import PREDICTIONS
from entrypoints.services.find_run import FindRun
from ports.jobs import JobStore


@dataclass(frozen=True, slots=True)
class CompareEvaluations:
    """Puts two finished evaluations beside each other."""

    find: FindRun
    jobs: JobStore

    def __call__(self, before: str, after: str) -> Sequence[EvaluationResult]:
        """A result for each title that both have, of the models the two were made for.

        Raises HextuneError where a run is no finished evaluation or they have no title in common.
        """
        first, second = self.find.evaluated(before), self.find.evaluated(after)
        spec = json.loads(self.jobs.read_text(first, "spec.json") or "{}")
        by = Resampling(samples=spec["bootstrap"], seed=spec["seed"])
        mine, theirs = self._measured(first), self._measured(second)
        shared = [title for title in mine if title in theirs]
        if not shared:
            raise fail(
                "eval-nothing-shared",
                before=first.id,
                after=second.id,
                first=", ".join(mine),
                second=", ".join(theirs),
            )
        results = []
        for title in shared:
            both = (*mine[title].measurements, *theirs[title].measurements)
            excluded = dict.fromkeys((*mine[title].excluded, *theirs[title].excluded))
            measured = replace(mine[title], measurements=both, excluded=tuple(excluded))
            results.append(result_of(measured, [first.id, second.id], by))
        return results

    def _measured(self, job: Job) -> dict[str, Measured]:
        """Title to what was measured as the model the evaluation was made for."""
        document = json.loads(self.jobs.read_text(job, "results.json") or "{}")
        model = document["models"][-1]
        found: dict[str, list[Measurement]] = {}
        for line in self.jobs.lines(job, PREDICTIONS):
            each = Measurement.from_json(json.loads(line))
            if each.model == model:
                found.setdefault(each.evaluation, []).append(replace(each, model=job.id))
        return {
            each["title"]: Measured(
                title=each["title"],
                metric=Metric(each["metric"]),
                average=each["average"],
                length_unit=each["length_unit"],
                excluded=tuple(each["excluded"]),
                notes=tuple(each.get("notes", [])),
                evaluation=each.get("evaluation", ""),
                measurements=tuple(_values(each, found)),
            )
            for each in document["evaluations"]
        }


def _values(result: dict[str, Any], found: dict[str, list[Measurement]]) -> list[Measurement]:
    """The measurements of a result, one of their scores as the value where it is of that."""
    several = result.get("evaluation")
    if not several:
        return found.get(result["title"], [])
    score = result["title"][len(several) + 1 :]
    return [valued(each, score) for each in found.get(several, [])]
