"""Evaluate a model: what a worker process does from the first question to the report.

Every measurement is a line of predictions.jsonl as soon as it is made, and a worker that takes the
run up measures only what is not there.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace

from domain.errors import HextuneError, fail, problem
from domain.eval_results import EvaluationResult, Resampling, result_of
from domain.eval_spec import EvalSpec
from domain.events import EventKind
from domain.fingerprint import Json, fingerprint
from domain.job import Job, JobStatus
from domain.measurement import Measurement
from domain.model_handle import ResolvedModel
from entrypoints.services.evaluation import Evaluation, Excluded, Instruments, Task
from entrypoints.services.execute_run import failure_data
from entrypoints.services.prepare_evaluation import PrepareEvaluation, measured_as, resolved_of
from entrypoints.services.resolve_model import ResolveModel
from ports.eval_reports import EvaluationReportWriter
from ports.eval_spec_reader import EvalSpecReader
from ports.hardware import HardwareProbe
from ports.inference import InferenceBackend
from ports.jobs import JobStore
from ports.scorer import Scorer
from ports.spec_reader import SpecText
from ports.surroundings import Surroundings

PREDICTIONS = "predictions.jsonl"
EXCLUDED = "excluded.jsonl"
PROGRESS_S = 1.0
"""Seconds between two events of progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateModel:
    """Measures what one job asks for."""

    reader: EvalSpecReader
    resolve: ResolveModel
    prepare: PrepareEvaluation
    jobs: JobStore
    open_scorer: Callable[[ResolvedModel], Scorer]
    open_engine: Callable[[ResolvedModel, str], InferenceBackend]
    """(model, engine's name) to the engine."""
    open_remote: Callable[[str, str], InferenceBackend]
    """(address, model name) to an engine that asks a server."""
    open_remote_scorer: Callable[[str, str], Scorer]
    """(address, model name) to a scorer that asks a server."""
    hardware: HardwareProbe
    reports: EvaluationReportWriter
    surroundings: Surroundings

    def __call__(self, name: str, *, resume: bool, stop_asked: Callable[[], bool]) -> Job:
        """The job at its end; failures are recorded in it, not raised."""
        job = self.jobs.get(name)
        started = job.started_at or self.surroundings.now()
        job = job.moved(JobStatus.RUNNING, started_at=started)
        self.jobs.save(job)
        try:
            ledger = _Ledger(self.jobs, self.surroundings, job)
            if resume:
                self.jobs.append(job, EventKind.RESUMED, {"step": len(ledger.done)})
            results = self._run(job, ledger, stop_asked)
        except HextuneError as error:
            return self.jobs.end(job, EventKind.FAILED, failure_data(error))
        if results is None:
            return self.jobs.end(job, EventKind.STOPPED, {"step": ledger.step})
        return self.jobs.end(job, EventKind.SUCCEEDED, {"evaluations": _summary(results)})

    def _run(
        self, job: Job, ledger: "_Ledger", stop_asked: Callable[[], bool]
    ) -> Sequence[EvaluationResult] | None:
        """The results; None where it was asked to stop before everything was measured."""
        self.jobs.append(job, EventKind.PHASE, {"phase": "data"})
        text = self.jobs.read_text(job, "spec.json") or ""
        spec = self.reader.read(SpecText(text=text, format="json", source="spec.json"))
        resolved = resolved_of(spec, self.resolve)
        evaluations = self.prepare(spec, resolved)
        models = measured_as(spec, resolved)
        self._write_json(job, "manifest.json", self._manifest(job, spec, resolved, evaluations))
        for each in evaluations:
            self._warn(job, each.about.title, each.about.excluded)
        self.jobs.append(job, EventKind.PHASE, {"phase": "measuring"})
        instruments = self._instruments(spec, resolved)
        try:
            for each in evaluations:
                for task in each.tasks:
                    for model in models:
                        if not _measure(each, task, model, instruments, ledger, stop_asked):
                            return None
        finally:
            instruments.close()
        self.jobs.append(job, EventKind.PHASE, {"phase": "reporting"})
        return self._report(job, spec, evaluations, models, ledger)

    def _instruments(self, spec: EvalSpec, resolved: ResolvedModel | None) -> Instruments:
        def scorer() -> Scorer:
            if resolved is None:
                return self.open_remote_scorer(str(spec.model.url), spec.model.name)
            return self.open_scorer(resolved)

        def engine() -> InferenceBackend:
            if resolved is None:
                return self.open_remote(str(spec.model.url), spec.model.name)
            return self.open_engine(resolved, spec.model.engine)

        return Instruments(scorer, engine)

    def _report(
        self,
        job: Job,
        spec: EvalSpec,
        evaluations: Sequence[Evaluation],
        models: Sequence[str],
        ledger: "_Ledger",
    ) -> Sequence[EvaluationResult]:
        """Write results.json and report.html, and note the evaluation in the measured run."""
        by = Resampling(samples=spec.bootstrap, seed=spec.seed)
        results = []
        for each in evaluations:
            found = ledger.of(each, models)
            late = tuple(ledger.excluded.get(each.about.title, {}))
            if not found:
                raise fail("eval-nothing-measured", title=each.about.title, first=late[0])
            self._warn(job, each.about.title, late)
            self._warn_empty(job, each.about.title, found)
            measured = replace(
                each.about, measurements=found, excluded=(*each.about.excluded, *late)
            )
            results += [result_of(part, models, by) for part in measured.each_score()]
        document = {
            "models": list(models),
            "evaluations": [each.as_json() for each in results],
            "measured": ledger.measured,
            "seconds": self.surroundings.now() - ledger.began,
        }
        self._write_json(job, "results.json", document)
        heading = f"{job.name}: {spec.model.name}"
        self.reports.write(f"{job.folder}/report.html", heading, results)
        self._attach(job, spec, results)
        return results

    def _attach(self, job: Job, spec: EvalSpec, results: Sequence[EvaluationResult]) -> None:
        """Add a line to evaluations.jsonl of the run that made the model."""
        note = {"run": job.id, "spec_hash": spec.hash, "evaluations": _summary(results)}
        for run in self.jobs.all():
            if run.id == spec.model.name:
                self.jobs.append_line(run, "evaluations.jsonl", json.dumps(note))

    def _manifest(
        self,
        job: Job,
        spec: EvalSpec,
        resolved: ResolvedModel | None,
        evaluations: Sequence[Evaluation],
    ) -> dict[str, object]:
        """What one needs to know to repeat this evaluation."""
        items = {
            each.about.title: fingerprint([list(task.items) for task in each.tasks])
            for each in evaluations
        }
        return {
            "run": job.id,
            "spec_hash": job.spec_hash,
            "seed": spec.seed,
            "versions": dict(self.hardware.versions()),
            "hardware": asdict(self.hardware.probe()),
            "model": asdict(spec.model) if resolved is None else asdict(resolved.handle),
            "items": items,
            "working_folder": job.working_folder,
        }

    def _warn(self, job: Job, title: str, excluded: Sequence[str]) -> None:
        if excluded:
            found = problem(
                "eval-rows-excluded", title=title, count=len(excluded), first=excluded[0]
            )
            self.jobs.append(job, EventKind.WARNING, found.as_json())

    def _warn_empty(self, job: Job, title: str, found: Sequence[Measurement]) -> None:
        empty = sum(each.detail.get("empty") is True for each in found)
        if empty:
            told = problem("eval-empty-answers", title=title, count=empty)
            self.jobs.append(job, EventKind.WARNING, told.as_json())

    def _write_json(self, job: Job, name: str, value: object) -> None:
        self.jobs.write_text(job, name, json.dumps(value, indent=2, ensure_ascii=False))


def _measure(
    evaluation: Evaluation,
    task: Task,
    model: str,
    instruments: Instruments,
    ledger: "_Ledger",
    stop_asked: Callable[[], bool],
) -> bool:
    """Measure what is not on record; False where it was asked to stop on the way."""
    title = evaluation.about.title
    wanted = [n for n, item in enumerate(task.items) if not ledger.has(title, item, model)]
    if not wanted:
        return True
    for found in evaluation.measure(task, wanted, model, instruments):
        ledger.take(title, model, found)
        if stop_asked():
            return False
    return True


def _summary(results: Sequence[EvaluationResult]) -> list[Json]:
    """Each evaluation's overall figures, for events and lists."""
    return [
        {
            "title": each.title,
            "metric": each.metric.value,
            "models": {name: made.overall.value for name, made in each.models.items()},
        }
        for each in results
    ]


@dataclass(slots=True)
class _Ledger:
    """What is on record, and how fast it grows."""

    jobs: JobStore
    surroundings: Surroundings
    job: Job
    done: dict[tuple[str, str, str], Measurement] = field(default_factory=dict)
    excluded: dict[str, dict[str, None]] = field(default_factory=dict)
    """Title to the lines of items that could not be measured, each once."""
    given_up: set[tuple[str, str, str]] = field(default_factory=set)
    """Items on record as excluded."""
    step: int = 0
    """Measurements and exclusions, those of earlier workers included."""
    found: int = 0
    """Those of earlier workers."""
    measured: int = 0
    """What this worker measured."""
    began: float = 0.0
    told: float = 0.0
    """When progress was last told."""

    def __post_init__(self) -> None:
        for line in self.jobs.lines(self.job, PREDICTIONS):
            found = Measurement.from_json(json.loads(line))
            self.done[found.key] = found
        for line in self.jobs.lines(self.job, EXCLUDED):
            row = json.loads(line)
            self.excluded.setdefault(row["evaluation"], {})[row["line"]] = None
            self.given_up.add((row["evaluation"], row["item"], row["model"]))
        self.step = self.found = len(self.done) + len(self.given_up)
        self.began = self.told = self.surroundings.now()

    def has(self, title: str, item: str, model: str) -> bool:
        """Whether an item is on record, measured or excluded."""
        return (title, item, model) in self.done or (title, item, model) in self.given_up

    def take(self, title: str, model: str, found: Measurement | Excluded) -> None:
        """Record it, and tell progress once a second and at the end."""
        self.step += 1
        if isinstance(found, Excluded):
            self.excluded.setdefault(title, {})[found.line] = None
            if found.item:
                row = {"evaluation": title, "model": model, **asdict(found)}
                line = json.dumps(row, ensure_ascii=False)
                self.jobs.append_line(self.job, EXCLUDED, line)
        else:
            line = json.dumps(found.as_json(), ensure_ascii=False)
            self.jobs.append_line(self.job, PREDICTIONS, line)
            self.done[found.key] = found
            self.measured += 1
        now = self.surroundings.now()
        if now - self.told >= PROGRESS_S or self.step == self.job.total_steps:
            self.told = now
            per_s = (self.step - self.found) / max(now - self.began, 1e-9)
            self.jobs.append(
                self.job,
                EventKind.PROGRESS,
                {
                    "step": self.step,
                    "total_steps": self.job.total_steps,
                    "title": title,
                    "per_s": per_s,
                    "eta_s": (self.job.total_steps - self.step) / max(per_s, 1e-9),
                },
            )

    def of(self, evaluation: Evaluation, models: Sequence[str]) -> tuple[Measurement, ...]:
        """What is on record of an evaluation, in the order of its items."""
        keys = (
            (evaluation.about.title, item, model)
            for model in models
            for task in evaluation.tasks
            for item in task.items
        )
        return tuple(self.done[key] for key in keys if key in self.done)
