"""Execute a run: what a worker process does from the first byte to the report."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from domain.checkpoint import disk_bytes
from domain.errors import HextuneError, fail
from domain.events import EventKind
from domain.fingerprint import Json
from domain.job import Job, JobStatus
from entrypoints.services.plan_run import Planned, PlanRun
from entrypoints.services.track_run import TrackRun
from entrypoints.services.train_model import TrainModel
from ports.hardware import HardwareProbe
from ports.jobs import JobStore
from ports.ranks import RankLauncher, Training
from ports.reports import ReportWriter
from ports.spec_reader import SpecText
from ports.surroundings import Surroundings
from ports.trainer import TrainOutcome

ENDS = {True: EventKind.STOPPED, False: EventKind.SUCCEEDED}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecuteRun:
    """Trains one job to its end."""

    plan: PlanRun
    jobs: JobStore
    train: TrainModel
    ranks: RankLauncher
    hardware: HardwareProbe
    reports: ReportWriter
    surroundings: Surroundings
    track: TrackRun

    def __call__(self, name: str, *, resume: bool, stop_asked: Callable[[], bool]) -> Job:
        """The job at its end; failures are recorded in it, not raised."""
        job = self.jobs.get(name)
        started = job.started_at or self.surroundings.now()
        job = job.moved(JobStatus.RUNNING, started_at=started)
        self.jobs.save(job)
        try:
            outcome = self._run(job, resume, stop_asked)
        except HextuneError as error:
            return self.jobs.end(job, EventKind.FAILED, failure_data(error))
        if outcome.stopped:
            return self.jobs.end(job, EventKind.STOPPED, {"step": outcome.step})
        return self.jobs.end(job, EventKind.SUCCEEDED, outcome.results)

    def _run(self, job: Job, resume: bool, stop_asked: Callable[[], bool]) -> TrainOutcome:
        def emit(kind: EventKind, data: Mapping[str, Json]) -> None:
            self.jobs.append(job, kind, data)

        emit(EventKind.PHASE, {"phase": "planning"})
        planned = self._replan(job, resume)
        for warning in planned.plan.warnings:
            emit(EventKind.WARNING, warning.as_json())
        self._write_json(job, "manifest.json", self._manifest(job, planned))
        spec, plan = planned.document.spec, planned.plan
        training = Training(
            spec=replace(spec, stage=planned.stage),
            plan=plan,
            data=planned.data,
            model=planned.model,
            folder=job.folder,
            resume=resume,
        )
        if plan.parallelism.strategy == "single":
            with self.track(job, spec, emit) as tracked:
                outcome = self.train(training, tracked, stop_asked)
        else:
            outcome = self.ranks.run(training, stop_asked)
        if not outcome.stopped:
            self._write_json(job, "results.json", dict(outcome.results))
            emit(EventKind.PHASE, {"phase": "reporting"})
            self._report(job)
        return outcome

    def _replan(self, job: Job, resume: bool) -> Planned:
        """Plan again from the recorded spec: the rows must be those the run started with."""
        recorded = self.jobs.read_text(job, "spec.json") or ""
        planned = self.plan(SpecText(text=recorded, format="json", source="spec.json"))
        first = json.loads(self.jobs.read_text(job, "plan.json") or "{}")["data"]
        same = all(
            first[key] == planned.plan.data[key] for key in ("fingerprint", "template_fingerprint")
        )
        if not same:
            raise fail("run-data-changed")
        self.jobs.check_writable(0 if resume else disk_bytes(planned.document.spec, planned.plan))
        return planned

    def _manifest(self, job: Job, planned: Planned) -> dict[str, object]:
        """What one needs to know to repeat this run."""
        return {
            "run": job.id,
            "spec_hash": job.spec_hash,
            "seed": planned.document.spec.seed,
            "versions": dict(self.hardware.versions()),
            "hardware": planned.plan.as_json()["hardware"],
            "model": planned.plan.as_json()["model"],
            "data": dict(planned.plan.data),
            "working_folder": job.working_folder,
        }

    def _report(self, job: Job) -> None:
        names = ("spec", "plan", "manifest", "results")
        documents = {
            name: json.loads(self.jobs.read_text(job, f"{name}.json") or "{}") for name in names
        }
        self.reports.write(job, list(self.jobs.events(job)), documents)

    def _write_json(self, job: Job, name: str, value: Mapping[str, object]) -> None:
        self.jobs.write_text(job, name, json.dumps(value, indent=2, ensure_ascii=False))


def failure_data(error: HextuneError) -> dict[str, Json]:
    """What the event of a failed run says: the first problem, and the messages of the others."""
    first = error.problems[0].as_json()
    others: list[Json] = [other.message for other in error.problems[1:]]
    return {**first, "others": others}
