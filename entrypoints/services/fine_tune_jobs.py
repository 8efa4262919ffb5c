"""Fine-tuning jobs as they are now: looked up, paused, cancelled, resumed, and what they leave."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from domain.errors import HextuneError, fail
from domain.events import EventKind, JobEvent
from domain.files import RESULTS, StoredFile
from domain.fine_tuning import (
    RECORD,
    FineTuneStatus,
    metrics_csv,
    model_name,
    status_of,
    step_metrics,
)
from domain.fingerprint import Json
from domain.job import Job, JobKind, JobStatus
from entrypoints.services.find_run import FindRun
from entrypoints.services.resume_run import ResumeRun
from entrypoints.services.stop_run import StopRun
from ports.files import FileStore
from ports.jobs import JobStore

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
CANCELLED = "cancelled.json"
"""File of a run folder: the attempt that was told to cancel, by when it was queued."""
RESULT_FILE = "result_file.json"
"""File of a run folder: the id of its table of figures, which is made once."""
COMPLETE = "complete"
"""The marker in a checkpoint that is whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuneJob:
    """A run as a fine-tuning job."""

    run: Job
    """The run."""
    status: FineTuneStatus
    """Where it is."""
    record: Mapping[str, Any]
    """What the request said; empty for a run that another door started."""
    spec: Mapping[str, Any]
    """The run's spec."""
    trained_tokens: int | None
    """Tokens seen, once it is finished."""
    estimated_finish: float | None
    """When it will be finished, in seconds since the epoch, while it trains."""
    result_files: Sequence[str]
    """Ids of files it made."""

    @property
    def suffix(self) -> str:
        """The part of the model's name that people choose."""
        return _suffix(self.run, self.record)

    def model_name(self, step: int | None = None) -> str:
        """The name its result is served under."""
        return model_name(self.spec["model"]["name"], self.suffix, self.run.id, step)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A whole checkpoint that is still there."""

    job: FineTuneJob
    """The job it is of."""
    step: int
    """The optimizer step it was written after."""
    at: float
    """When, in seconds since the epoch."""
    metrics: Mapping[str, Json]
    """Figures at that step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuneJobs:
    """Every training run, whatever door it came by."""

    find: FindRun
    jobs: JobStore
    files: FileStore
    stop: StopRun
    resume_run: ResumeRun

    def get(self, id: str) -> FineTuneJob:
        """A job by its id, which is the run's. Raises HextuneError for none."""
        return self.view(self._run(id))

    def all(self) -> Sequence[Job]:
        """Every training run, newest first; `view` makes jobs of those that are shown."""
        return [run for run in self.find.all() if run.kind is JobKind.TRAIN]

    def view(self, run: Job) -> FineTuneJob:
        """A run as a job."""
        running = run.status is JobStatus.RUNNING
        events = list(self.jobs.events(run)) if running else []
        phases = [event.data["phase"] for event in events if event.kind is EventKind.PHASE]
        steps = [event for event in events if event.kind is EventKind.STEP]
        ended = run.status is JobStatus.SUCCEEDED
        tokens = self._json(run, "results.json").get("tokens") if ended else None
        mark = self._json(run, CANCELLED)
        return FineTuneJob(
            run=run,
            status=status_of(
                run,
                cancelled=mark.get("queued_at") == run.queued_at,
                validating=running and phases[-1:] in ([], ["planning"]),
            ),
            record=self._json(run, RECORD),
            spec=self._json(run, "spec.json"),
            trained_tokens=tokens,
            estimated_finish=_finish(steps[-1]) if steps else None,
            result_files=self._result_files(run) if ended else (),
        )

    def named(self, run: Job) -> tuple[str, str]:
        """(the base of a run, the name its result is served under)."""
        base = self._json(run, "spec.json")["model"]["name"]
        return base, model_name(base, _suffix(run, self._json(run, RECORD)), run.id)

    def metadata(self, run: Job) -> Mapping[str, str]:
        """The caller's own notes of a run."""
        found: Mapping[str, str] = self._json(run, RECORD).get("metadata", {})
        return found

    def pause(self, id: str) -> FineTuneJob:
        """Ask the worker to save and end, so that it can be resumed."""
        run = self._run(id)
        self.stop(run.id)
        return self.get(id)

    def cancel(self, id: str) -> FineTuneJob:
        """Ask the worker to save and end, for good. Raises HextuneError for a job that ended."""
        job = self.get(id)
        if job.run.status is not JobStatus.STOPPED or job.status is FineTuneStatus.CANCELLED:
            self.stop(job.run.id)
        mark = json.dumps({"queued_at": job.run.queued_at})
        self.jobs.write_text(job.run, CANCELLED, mark)
        return self.get(id)

    def resume(self, id: str) -> FineTuneJob:
        """Queue a paused or failed job again. Raises HextuneError for any other."""
        job = self.get(id)
        if job.status is FineTuneStatus.CANCELLED:
            raise fail("run-not-resumable", name=id, status=job.status.value)
        return self.view(self.resume_run(job.run.id))

    def events(self, id: str) -> Sequence[JobEvent]:
        """Every event so far, in order."""
        return list(self.jobs.events(self._run(id)))

    def checkpoints(self, id: str) -> Sequence[Checkpoint]:
        """Checkpoints that are still there, newest first."""
        job = self.get(id)
        metrics: dict[int, dict[str, Json]] = {}
        found: dict[int, Checkpoint] = {}
        for event in self.jobs.events(job.run):
            step = event.data.get("step")
            if not isinstance(step, int):
                continue
            if event.kind in (EventKind.STEP, EventKind.EVALUATION):
                metrics.setdefault(step, {}).update(step_metrics(event))
            if event.kind is EventKind.CHECKPOINT and self._is_whole(job.run, event):
                of_step = metrics.setdefault(step, {})
                found[step] = Checkpoint(job=job, step=step, at=event.at, metrics=of_step)
        return [found[step] for step in sorted(found, reverse=True)]

    def _is_whole(self, run: Job, event: JobEvent) -> bool:
        return self.jobs.read_text(run, f"{event.data['path']}/{COMPLETE}") is not None

    def _run(self, id: str) -> Job:
        missing = fail("job-missing", id=id)
        if not ID.fullmatch(id):
            raise missing
        try:
            run = self.find(id)
        except HextuneError as error:
            if error.problems[0].code != "run-missing":
                raise
            raise missing from None
        if run.id != id or run.kind is not JobKind.TRAIN:
            raise missing
        return run

    def _result_files(self, run: Job) -> Sequence[str]:
        """The table of figures, unless it was removed; made when first asked for."""
        id = f"file-{sha256(run.id.encode()).hexdigest()[:24]}"
        if not self._json(run, RESULT_FILE):
            file = StoredFile(
                id=id,
                filename="step_metrics.csv",
                purpose=RESULTS,
                created_at=run.ended_at or run.created_at,
            )
            self.files.add(file, [metrics_csv(self.jobs.events(run)).encode()])
            self.jobs.write_text(run, RESULT_FILE, json.dumps({"id": id}))
        try:
            return [self.files.get(id).id]
        except HextuneError:  # its owner removed it
            return []

    def _json(self, run: Job, name: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = json.loads(self.jobs.read_text(run, name) or "{}")
        return found


def _suffix(run: Job, record: Mapping[str, Any]) -> str:
    return str(record["suffix"] or "") if record else run.name


def _finish(step: JobEvent) -> float | None:
    left_s = step.data.get("eta_s")
    return step.at + left_s if isinstance(left_s, int | float) else None
