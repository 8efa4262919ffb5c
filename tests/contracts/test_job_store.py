"""What every JobStore promises."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.jobs_files import FileJobStore
from domain.errors import HextuneError
from domain.events import EventKind
from domain.job import Job, JobKind, JobStatus, WorkerId
from ports.jobs import JobStore
from tests.fakes.jobs import FakeJobStore

MAKERS: dict[str, Callable[[Path], JobStore]] = {
    "fake": lambda _: FakeJobStore(),
    "files": lambda folder: FileJobStore(str(folder / "runs")),
}


@pytest.fixture(params=MAKERS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> JobStore:
    made = MAKERS[request.param](tmp_path)
    made.check_writable(0)
    return made


def job(id: str, created_at: float = 1.0, request_id: str | None = None) -> Job:
    return Job(
        id=id,
        name="test",
        folder="",
        working_folder="/work",
        spec_hash="0" * 64,
        created_at=created_at,
        request_id=request_id,
    )


def test_a_created_job_can_be_found_by_id_beginning_and_last(store: JobStore) -> None:
    first = store.create(job("aa-1", 1.0), {"spec.json": "{}"})
    second = store.create(job("ab-2", 2.0), {})
    assert store.get("aa-1") == first
    assert store.get("ab") == second
    assert store.get("last") == second
    assert [each.id for each in store.all()] == ["ab-2", "aa-1"]
    assert store.read_text(first, "spec.json") == "{}"
    assert store.read_text(first, "results.json") is None


@pytest.mark.parametrize("name", ["nope", "a", "last", ""])
def test_an_unknown_or_ambiguous_name_is_an_error(store: JobStore, name: str) -> None:
    if name == "a":
        store.create(job("aa-1"), {})
        store.create(job("ab-2"), {})
    with pytest.raises(HextuneError) as caught:
        store.get(name)
    assert caught.value.problems[0].code == "run-missing"


def test_the_same_request_id_gives_the_same_job(store: JobStore) -> None:
    first = store.create(job("aa-1", request_id="r"), {})
    again = store.create(job("ab-2", request_id="r"), {})
    assert again.id == first.id
    assert [each.id for each in store.all()] == ["aa-1"]


def test_events_are_numbered_from_one_without_gaps(store: JobStore) -> None:
    made = store.create(job("aa-1"), {})
    for step in range(3):
        store.append(made, EventKind.STEP, {"step": step, "text": "ж 中"})
    events = list(store.events(made))
    assert [event.seq for event in events] == [1, 2, 3]
    assert [event.data["step"] for event in events] == [0, 1, 2]
    assert events[0].data["text"] == "ж 中"
    assert [event.seq for event in store.events(made, after_seq=2)] == [3]


def test_only_the_first_end_is_recorded(store: JobStore) -> None:
    made = store.create(job("aa-1"), {})
    ended = store.end(made, EventKind.FAILED, {"code": "run-lost"})
    assert ended.status is JobStatus.FAILED
    assert ended.problem == {"code": "run-lost"}
    again = store.end(made, EventKind.SUCCEEDED, {})
    assert again.status is JobStatus.FAILED
    assert [event.kind for event in store.events(made)] == [EventKind.FAILED]


def test_a_worker_stays_on_record_when_the_job_is_saved(store: JobStore) -> None:
    made = store.create(job("aa-1"), {})
    worker = WorkerId(pid=4321, started_at=12.5)
    assert store.assign(made, worker).worker == worker
    store.save(made.moved(JobStatus.RUNNING))
    found = store.get("aa-1")
    assert (found.status, found.worker) == (JobStatus.RUNNING, worker)


def test_lines_come_back_in_order_whatever_is_in_them(store: JobStore) -> None:
    made = store.create(job("aa-1"), {})
    assert list(store.lines(made, "predictions.jsonl")) == []
    for line in ("first", "ж 中\u2028 same line", ""):
        store.append_line(made, "predictions.jsonl", line)
    assert list(store.lines(made, "predictions.jsonl")) == ["first", "ж 中\u2028 same line", ""]


def test_the_kind_of_a_job_is_kept(store: JobStore) -> None:
    store.create(replace(job("aa-1"), kind=JobKind.EVALUATE), {})
    assert store.get("aa-1").kind is JobKind.EVALUATE


def test_a_disk_without_room_is_refused(store: JobStore) -> None:
    with pytest.raises(HextuneError) as caught:
        store.check_writable(10**18)
    assert caught.value.problems[0].code == "output-disk-full"
