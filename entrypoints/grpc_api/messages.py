"""Domain values as protobuf messages."""

import json
from collections.abc import Mapping
from typing import Any

from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from domain.events import JobEvent
from domain.job import Job
from domain.run_plan import RunPlan
from domain.sampling import ServedModel, TextDelta
from entrypoints.grpc_api.generated.hextune.v1 import generation_pb2, jobs_pb2, models_pb2
from entrypoints.services.plan_pipeline import PlannedPipeline


def timestamp(seconds: float | None) -> Timestamp | None:
    """Seconds since the epoch as a Timestamp, to the microsecond."""
    if seconds is None:
        return None
    made = Timestamp()
    made.FromMicroseconds(round(seconds * 1_000_000))
    return made


def struct(values: Mapping[str, Any]) -> Struct:
    """JSON values as a Struct, whose numbers are all doubles."""
    made = Struct()
    made.update(dict(values))
    return made


def job_message(job: Job) -> jobs_pb2.Job:
    """A job."""
    return jobs_pb2.Job(
        id=job.id,
        name=job.name,
        kind=f"JOB_KIND_{job.kind.name}",
        status=f"JOB_STATUS_{job.status.name}",
        folder=job.folder,
        spec_hash=job.spec_hash,
        total_steps=job.total_steps,
        request_id=job.request_id or "",
        created_at=timestamp(job.created_at),
        started_at=timestamp(job.started_at),
        ended_at=timestamp(job.ended_at),
        problem=_problem_message(job.problem) if job.problem else None,
    )


def _problem_message(recorded: Mapping[str, Any]) -> jobs_pb2.JobProblem:
    return jobs_pb2.JobProblem(
        code=recorded["code"],
        message=recorded["message"],
        hint=recorded["hint"],
        facts=recorded["facts"],
    )


def event_message(event: JobEvent) -> jobs_pb2.JobEvent:
    """An event."""
    return jobs_pb2.JobEvent(
        seq=event.seq,
        at=timestamp(event.at),
        kind=f"EVENT_KIND_{event.kind.name}",
        data=struct(event.data),
    )


def plan_message(plan: RunPlan | PlannedPipeline) -> jobs_pb2.PlanJobResponse:
    """A plan of a run, or of every step of a pipeline, as its JSON reads."""
    return jobs_pb2.PlanJobResponse(plan=struct(json.loads(json.dumps(plan.as_json()))))


def served_message(model: ServedModel) -> models_pb2.Model:
    """A model the engine answers as; one that no run made has no creation time."""
    return models_pb2.Model(
        name=model.name,
        base=model.base,
        has_adapter=model.adapter is not None,
        served=True,
        created_at=timestamp(model.created_at or None),
    )


def delta_message(delta: TextDelta) -> generation_pb2.GenerateResponse:
    """A piece of an answer."""
    reason = (delta.finish_reason or "unspecified").upper()
    return generation_pb2.GenerateResponse(
        text=delta.text,
        reasoning=delta.reasoning,
        finish_reason=f"FINISH_REASON_{reason}",
        prompt_tokens=delta.prompt_tokens,
        completion_tokens=delta.completion_tokens,
    )
