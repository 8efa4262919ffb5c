"""Fine-tuning jobs, their events and checkpoints as OpenAI's API describes them."""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from domain.errors import HextuneError
from domain.events import EventKind, JobEvent
from domain.fine_tuning import METHODS, ORGANIZATION, FineTuneStatus, step_metrics
from entrypoints.http_api.schema.replies import Reply
from entrypoints.http_api.schema.values import bad
from entrypoints.services.fine_tune_jobs import Checkpoint, FineTuneJob

LEVELS: Mapping[EventKind, str] = {EventKind.WARNING: "warn", EventKind.FAILED: "error"}
"""Levels of events that are not information only."""


def job_reply(job: FineTuneJob) -> Reply:
    """A job. What a run of another door never had, such as file ids, is named after its spec."""
    spec, record, run = job.spec, job.record, job.run
    succeeded = job.status is FineTuneStatus.SUCCEEDED
    sources = spec["data"]["train"]
    numbers = hyperparameters(job)
    return {
        "id": run.id,
        "object": "fine_tuning.job",
        "created_at": int(run.created_at),
        "finished_at": int(run.ended_at) if run.ended_at and succeeded else None,
        "model": record.get("model") or _short(spec["model"]["name"]),
        "fine_tuned_model": job.model_name() if succeeded else None,
        "organization_id": ORGANIZATION,
        "status": job.status.value,
        "hyperparameters": numbers,
        "method": method(job, numbers),
        "training_file": record.get("training_file") or _source(sources[0]),
        "validation_file": record.get("validation_file"),
        "result_files": list(job.result_files),
        "trained_tokens": job.trained_tokens,
        "estimated_finish": None if job.estimated_finish is None else int(job.estimated_finish),
        "error": error_reply(run.problem) if job.status is FineTuneStatus.FAILED else None,
        "seed": spec["seed"],
        "metadata": record.get("metadata") or None,
        "integrations": [integration(each) for each in wandb_of(spec)] or None,
    }


def hyperparameters(job: FineTuneJob) -> dict[str, object]:
    """The numbers a run really has; the learning rate is a factor only where one was asked for."""
    batching, epochs = job.spec["batching"], job.spec["schedule"]["epochs"]
    return {
        "n_epochs": int(epochs) if epochs and epochs == int(epochs) else "auto",
        "batch_size": batching["per_device"] * batching["accumulate"],
        "learning_rate_multiplier": job.record.get("multiplier") or "auto",
    }


def method(job: FineTuneJob, numbers: Mapping[str, object]) -> Reply:
    """The method of a run's stage."""
    stage = job.spec["stage"]
    name = METHODS.get(stage["name"], "supervised")
    section: dict[str, object] = {"hyperparameters": dict(numbers)}
    if name == "dpo":
        section["hyperparameters"] = {**numbers, "beta": stage["beta"]}
    elif name == "reinforcement":
        section |= job.record.get("echo", {})
    return {"type": name, name: section}


def wandb_of(spec: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Trackers that OpenAI knows."""
    trackers = spec["tracking"].get("trackers", ())
    return [tracker for tracker in trackers if tracker["name"] == "wandb"]


def integration(tracker: Mapping[str, Any]) -> Reply:
    """A tracker as an integration."""
    kept = ("project", "entity", "tags")
    return {"type": "wandb", "wandb": {name: tracker[name] for name in kept if name in tracker}}


def error_reply(problem: Mapping[str, Any] | None) -> Reply | None:
    """Why a job failed."""
    if problem is None:
        return None
    return {
        "code": problem["code"],
        "message": problem["message"],
        "param": problem["field"],
        "hint": problem["hint"],
    }


def event_id(job_id: str, seq: int) -> str:
    """An event's id: the number tells its place."""
    return f"ftevent-{job_id}-{seq}"


def seq_of(id: str, job_id: str, field: str) -> int:
    """An event's number. Raises HextuneError where the id is of no event of the job."""
    number = id.removeprefix(f"ftevent-{job_id}-")
    if number == id or not (number.isascii() and number.isdecimal()) or len(number) > 12:
        raise HextuneError([bad(field, "it is the id of no event of this job")])
    return int(number)


def event_reply(job_id: str, event: JobEvent) -> Reply:
    """An event."""
    measured = event.kind in (EventKind.STEP, EventKind.EVALUATION)
    figures = {"step": event.data.get("step"), **step_metrics(event)} if measured else {}
    return {
        "id": event_id(job_id, event.seq),
        "object": "fine_tuning.job.event",
        "created_at": int(event.at),
        "level": LEVELS.get(event.kind, "info"),
        "message": message(event),
        "type": "metrics" if measured else "message",
        "data": {**event.data, **figures, "kind": event.kind.value},
    }


def message(event: JobEvent) -> str:
    """One sentence about an event."""
    data = event.data
    match event.kind:
        case EventKind.STEP:
            return f"Step {data['step']}/{data['total_steps']}: training loss={data['loss']:.4g}"
        case EventKind.EVALUATION:
            return f"Step {data['step']}: validation loss={data['loss']:.4g}"
        case EventKind.CHECKPOINT:
            return f"Checkpoint created at step {data['step']}"
        case EventKind.PHASE:
            return f"Phase: {data['phase']}"
        case EventKind.WARNING | EventKind.FAILED:
            return str(data["message"])
        case EventKind.CREATED:
            return "Created fine-tuning job"
        case EventKind.SUCCEEDED:
            return "The job has successfully completed"
        case EventKind.STOPPED:
            return f"The job was stopped at step {data['step']}; its state is saved"
        case _:
            return event.kind.value.replace("_", " ").capitalize()


def checkpoint_reply(found: Checkpoint) -> Reply:
    """A checkpoint, with the losses that were measured at its step."""
    run = found.job.run
    names = ("train_loss", "valid_loss")
    named = {name: found.metrics[name] for name in names if name in found.metrics}
    return {
        "id": f"ftckpt-{run.id}-{found.step}",
        "object": "fine_tuning.job.checkpoint",
        "created_at": int(found.at),
        "fine_tuning_job_id": run.id,
        "fine_tuned_model_checkpoint": found.job.model_name(found.step),
        "step_number": found.step,
        "metrics": {"step": found.step, **named},
    }


def _short(name: str) -> str:
    return PurePath(name).name if name.startswith(("/", ".", "~")) else name


def _source(source: Mapping[str, Any]) -> str:
    """What a file outside the files API is called, without where it lies."""
    return PurePath(str(source.get("path") or source.get("hub"))).name
