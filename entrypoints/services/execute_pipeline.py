"""Execute a pipeline: what its worker does, which starts one run after the other and follows each.

Every step is a run with a folder and a worker of its own, so that nothing of one is in memory in
the next, and a pipeline whose own worker died finds its runs again: by what they are part of.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from domain.errors import HextuneError, fail, problem
from domain.events import EventKind, JobEvent
from domain.fingerprint import Json
from domain.job import Job, JobKind, JobStatus, PartOf
from domain.pipeline import ROWS_FILE, PipelineSpec, PipelineStep, replaced
from entrypoints.services.execute_run import failure_data
from entrypoints.services.find_run import FindRun
from entrypoints.services.resume_run import ResumeRun
from entrypoints.services.start_generation import StartGeneration
from entrypoints.services.start_run import StartRun
from entrypoints.services.stop_run import StopRun
from ports.jobs import JobStore
from ports.spec_reader import SpecText
from ports.surroundings import Surroundings

POLL_S = 0.5
PROGRESS_S = 5.0
"""Seconds between two events of progress; the step's own run has them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutePipeline:
    """Takes one pipeline to its end."""

    jobs: JobStore
    find: FindRun
    start_run: StartRun
    start_generation: StartGeneration
    resume: ResumeRun
    stop: StopRun
    surroundings: Surroundings

    def __call__(self, name: str, *, resume: bool, stop_asked: Callable[[], bool]) -> Job:
        """The job at its end; failures are recorded in it, not raised."""
        job = self.jobs.get(name)
        started = job.started_at or self.surroundings.now()
        job = job.moved(JobStatus.RUNNING, started_at=started)
        self.jobs.save(job)
        spec = PipelineSpec.from_json(json.loads(self.jobs.read_text(job, "spec.json") or ""))
        plan = json.loads(self.jobs.read_text(job, "plan.json") or "{}")
        planned = {step["name"]: int(step["total_steps"]) for step in plan["steps"]}
        going = _Going(job, planned, {run.part_of.step: run for run in self._runs(job)})  # type: ignore[union-attr]
        if resume:
            self.jobs.append(job, EventKind.RESUMED, {"step": going.done()})
        try:
            return self._run(spec, going, stop_asked)
        except HextuneError as error:
            return self.jobs.end(job, EventKind.FAILED, failure_data(error))

    def _run(self, spec: PipelineSpec, going: "_Going", stop_asked: Callable[[], bool]) -> Job:
        job = going.job
        for number, step in enumerate(spec.steps, 1):
            run = going.runs.get(step.name)
            if run is not None and run.status is JobStatus.SUCCEEDED:
                continue
            if stop_asked():
                return self.jobs.end(job, EventKind.STOPPED, {"step": going.done()})
            run = self._started(job, step, going.runs) if run is None else self._taken_up(run)
            place: dict[str, Json] = {
                "name": step.name, "number": number, "count": len(spec.steps), "run": run.id,
            }  # fmt: skip
            self.jobs.append(job, EventKind.PART, {**place, "status": run.status.value})
            ended = self._followed(step, run, going, stop_asked)
            self.jobs.append(job, EventKind.PART, {**place, "status": ended.status.value})
            if ended.status is JobStatus.STOPPED:
                return self.jobs.end(job, EventKind.STOPPED, {"step": going.done()})
            if ended.status is JobStatus.FAILED:
                message = (ended.problem or {}).get("message")
                raise fail(
                    "pipeline-step-failed",
                    step=step.name, run=ended.id, message=message, pipeline=job.id,
                )  # fmt: skip
            going.runs[step.name] = ended
        results = self._results(spec, going.runs)
        self.jobs.write_text(job, "results.json", json.dumps(results, indent=2))
        return self.jobs.end(job, EventKind.SUCCEEDED, results)

    def _runs(self, job: Job) -> list[Job]:
        """The runs of its steps so far, as they are now."""
        found = self.jobs.all()
        return [
            self.find(run.id) for run in found if run.part_of and run.part_of.pipeline == job.id
        ]

    def _started(self, job: Job, step: PipelineStep, runs: Mapping[str, Job]) -> Job:
        values = replaced(step.spec, lambda path, name: _result(runs[name], path))
        request_id = f"{job.id}/{step.name}"
        part_of = PartOf(pipeline=job.id, step=step.name)
        if step.generate is not None:
            return self.start_generation(values, step.generate, request_id, part_of)
        text = SpecText(text=json.dumps(values), format="json", source=f"step {step.name}")
        return self.start_run(text, request_id, part_of=part_of)

    def _taken_up(self, run: Job) -> Job:
        """A run that an earlier worker of the pipeline started: still going, or resumed now."""
        if run.worker is None and not run.status.ended:
            # that worker died between recording the run and starting it
            lost = problem("run-lost", name=run.id)
            run = self.jobs.end(run, EventKind.FAILED, lost.as_json())
        return self.resume(run.id) if run.status.resumable else run

    def _followed(
        self, step: PipelineStep, run: Job, going: "_Going", stop_asked: Callable[[], bool]
    ) -> Job:
        """The step's run at its end; a stop is handed on to it."""
        seq, asked, newest, told = 0, False, None, self.surroundings.now()
        while True:
            now = self.find(run.id)
            for event in self.jobs.events(now, seq):
                seq = event.seq
                if event.kind in (EventKind.STEP, EventKind.PROGRESS):
                    newest = event
            due = now.status.ended or self.surroundings.now() - told >= PROGRESS_S
            if newest is not None and due:
                self.jobs.append(going.job, EventKind.PROGRESS, going.progress(step.name, newest))
                newest, told = None, self.surroundings.now()
            if now.status.ended:
                return now
            if stop_asked() and not asked:
                with suppress(HextuneError):  # it may not have a worker yet, or end by itself
                    self.stop(run.id)
                    asked = True
            self.surroundings.sleep(POLL_S)

    def _results(self, spec: PipelineSpec, runs: Mapping[str, Job]) -> dict[str, Json]:
        """The runs by step, and the last whose result writes text."""
        model: str | None = None
        for step in spec.steps:
            run = runs[step.name]
            found = json.loads(self.jobs.read_text(run, "results.json") or "{}")
            if run.kind is JobKind.TRAIN and found.get("yields") != "reward_model":
                model = run.id
        return {"steps": {step.name: runs[step.name].id for step in spec.steps}, "model": model}


@dataclass(slots=True)
class _Going:
    """How far a pipeline is."""

    job: Job
    planned: Mapping[str, int]
    """Steps planned of each step's run."""
    runs: dict[str, Job] = field(default_factory=dict)
    """Runs by step, as they were when last looked at."""

    def done(self) -> int:
        """Steps of all finished runs, as planned."""
        return sum(
            self.planned[name]
            for name, run in self.runs.items()
            if run.status is JobStatus.SUCCEEDED
        )

    def progress(self, name: str, newest: JobEvent) -> dict[str, Json]:
        """What the pipeline says of a step's newest event."""
        data: Mapping[str, float] = newest.data  # type: ignore[assignment]
        step, total, eta_s = data["step"], data["total_steps"], data["eta_s"]
        return {
            "step": self.done() + min(int(step), self.planned[name]),
            "total_steps": self.job.total_steps,
            "title": name,
            "per_s": (total - step) / eta_s if eta_s else 0.0,
            "eta_s": eta_s,
        }


def _result(run: Job, path: str) -> str:
    """What a reference at `path` stands for: rows, a run with its adapters, or its result."""
    if run.kind is JobKind.GENERATE:
        return f"{run.folder}/{ROWS_FILE}"
    return run.id if path.startswith("model.adapters") else f"{run.folder}/model"
