"""Jobs and events: states, and the way to JSON and back."""

import json
from typing import Any

import pytest

from domain.events import EventKind, JobEvent
from domain.job import Job, JobStatus, WorkerId


def job(**changes: Any) -> Job:
    values: dict[str, Any] = {
        "id": "20261124-061500-run-a1b2c3",
        "name": "run",
        "folder": "/runs/20261124-061500-run-a1b2c3",
        "working_folder": "/work",
        "spec_hash": "0" * 64,
        "created_at": 1.5,
    }
    return Job(**{**values, **changes})


@pytest.mark.parametrize(
    ("status", "ended", "resumable"),
    [
        (JobStatus.QUEUED, False, False),
        (JobStatus.RUNNING, False, False),
        (JobStatus.SUCCEEDED, True, False),
        (JobStatus.FAILED, True, True),
        (JobStatus.STOPPED, True, True),
    ],
)
def test_a_status_says_whether_the_run_ended_and_may_go_on(
    status: JobStatus, ended: bool, resumable: bool
) -> None:
    assert (status.ended, status.resumable) == (ended, resumable)


@pytest.mark.parametrize(
    "made",
    [
        job(),
        job(status=JobStatus.RUNNING, worker=WorkerId(pid=7, started_at=2.25), started_at=3.0),
        job(status=JobStatus.FAILED, ended_at=9.0, problem={"code": "run-lost", "facts": {}}),
        job(request_id="r", total_steps=12),
    ],
)
def test_a_job_comes_back_from_json_as_it_was(made: Job) -> None:
    assert Job.from_json(json.loads(json.dumps(made.as_json()))) == made


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({}, KeyError),
        ({**job().as_json(), "status": "lost"}, ValueError),
        ({**job().as_json(), "colour": "red"}, TypeError),
        ({**job().as_json(), "worker": {"pid": 1}}, TypeError),
        ([], TypeError),
    ],
)
def test_other_json_is_no_job(values: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        Job.from_json(values)


def test_a_moved_job_is_another_value() -> None:
    first = job()
    moved = first.moved(JobStatus.STOPPED, ended_at=5.0)
    assert (moved.status, moved.ended_at, moved.id) == (JobStatus.STOPPED, 5.0, first.id)
    assert first.status is JobStatus.QUEUED


def test_exactly_three_kinds_of_event_end_a_run() -> None:
    ending = {kind for kind in EventKind if kind.ends}
    assert ending == {EventKind.SUCCEEDED, EventKind.FAILED, EventKind.STOPPED}
    assert {kind.value for kind in ending} == {s.value for s in JobStatus if s.ended}


def test_an_event_is_plain_json() -> None:
    event = JobEvent(seq=1, at=2.5, kind=EventKind.STEP, data={"step": 3})
    assert event.as_json() == {"seq": 1, "at": 2.5, "kind": "step", "data": {"step": 3}}
