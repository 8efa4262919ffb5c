"""Runs as files: what survives a crash, two writers at once, and folders that are not runs."""

import json
import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.jobs_files import FileJobStore
from domain.errors import HextuneError, Problem
from domain.events import EventKind
from domain.job import Job, JobStatus, WorkerId

WORKER = WorkerId(pid=4321, started_at=12.5)


@pytest.fixture
def store(tmp_path: Path) -> FileJobStore:
    made = FileJobStore(str(tmp_path / "runs"))
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


def refused(call: Any, *arguments: Any) -> Problem:
    with pytest.raises(HextuneError) as caught:
        call(*arguments)
    found: Problem = caught.value.problems[0]
    return found


def events_file(made: Job) -> Path:
    return Path(made.folder) / "events.jsonl"


def write_events(folder: str, id: str, count: int) -> None:
    """Append events as another process does."""
    store = FileJobStore(folder)
    for step in range(count):
        store.append(store.get(id), EventKind.STEP, {"step": step})


# -- events ---------------------------------------------------------------------------------


@pytest.mark.parametrize("torn", [b'{"seq": 3, "at"', b"{", b"\xd0"])
def test_a_torn_last_line_is_left_out_and_then_cut_off(store: FileJobStore, torn: bytes) -> None:
    made = store.create(job("a"), {})
    for step in (1, 2):
        store.append(made, EventKind.STEP, {"step": step})
    with events_file(made).open("ab") as file:
        file.write(torn)
    again = FileJobStore(str(Path(made.folder).parent))
    assert store.append(made, EventKind.STEP, {"step": 3}).seq == 3
    assert [event.data["step"] for event in again.events(made)] == [1, 2, 3]
    assert torn + b"\n" not in events_file(made).read_bytes()


def test_a_line_that_is_still_being_written_is_not_read(store: FileJobStore) -> None:
    made = store.create(job("a"), {})
    store.append(made, EventKind.STEP, {"step": 1})
    with events_file(made).open("ab") as file:
        file.write(b'{"seq": 2, "at": 1.0, "kind": "step", "data": {}}')
    assert [event.seq for event in store.events(made)] == [1]


def test_a_file_that_holds_nothing_but_a_torn_line_starts_again_at_one(store: FileJobStore) -> None:
    made = store.create(job("a"), {})
    events_file(made).write_bytes(b'{"seq": 1')
    assert store.append(made, EventKind.STEP, {}).seq == 1
    assert [event.seq for event in store.events(made)] == [1]


def test_a_run_without_events_has_none(store: FileJobStore) -> None:
    assert list(store.events(store.create(job("a"), {}))) == []


def test_text_of_any_script_and_line_ends_stay_in_one_event(store: FileJobStore) -> None:
    made = store.create(job("a"), {})
    text = "Небо\n天空\r\u2028👍\x85"
    store.append(made, EventKind.WARNING, {"text": text})
    assert [event.data["text"] for event in store.events(made)] == [text]


def test_threads_that_write_at_once_get_distinct_numbers(store: FileJobStore) -> None:
    made = store.create(job("a"), {})
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda step: store.append(made, EventKind.STEP, {"n": step}), range(40)))
    assert [event.seq for event in store.events(made)] == list(range(1, 41))
    assert sorted(int(str(event.data["n"])) for event in store.events(made)) == list(range(40))


def test_processes_that_write_at_once_get_distinct_numbers(store: FileJobStore) -> None:
    made = store.create(job("a"), {})
    context = multiprocessing.get_context("spawn")
    folder = str(Path(made.folder).parent)
    writers = [context.Process(target=write_events, args=(folder, "a", 15)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert [event.seq for event in store.events(made)] == list(range(1, 31))


def test_two_ends_at_once_leave_one(store: FileJobStore) -> None:
    made = store.create(job("a"), {})
    kinds = [EventKind.SUCCEEDED, EventKind.FAILED, EventKind.STOPPED] * 4
    with ThreadPoolExecutor(4) as pool:
        ended = list(pool.map(lambda kind: store.end(made, kind, {}), kinds))
    assert len({item.status for item in ended}) == 1
    assert len(list(store.events(made))) == 1


# -- creating and saving --------------------------------------------------------------------


def test_a_run_is_moved_into_place_whole(store: FileJobStore) -> None:
    made = store.create(job("a"), {"spec.json": "{}", "plan.json": "[]"})
    folder = Path(made.folder)
    assert {path.name for path in folder.iterdir()} == {"job.json", "spec.json", "plan.json"}
    assert [path.name for path in folder.parent.iterdir() if path.name.startswith(".new")] == []


def test_a_run_that_is_still_being_built_is_not_seen(store: FileJobStore) -> None:
    made = store.create(job("a"), {})
    building = Path(made.folder).with_name(".new-x")
    Path(made.folder).rename(building)
    assert store.all() == []
    assert refused(store.get, "last").code == "run-missing"
    assert refused(store.get, ".new").code == "run-missing"


def test_a_failed_write_while_creating_leaves_no_run(store: FileJobStore) -> None:
    with pytest.raises(OSError, match="no/such"):
        store.create(job("a"), {"no/such/folder": "x"})
    assert store.all() == []


def test_one_request_makes_one_run_however_many_ask(store: FileJobStore) -> None:
    def ask(number: int) -> str:
        return store.create(job(f"run-{number}", request_id="r/../1 ж"), {}).id

    with ThreadPoolExecutor(4) as pool:
        ids = set(pool.map(ask, range(12)))
    assert len(ids) == len(store.all()) == 1


def test_threads_that_write_one_file_do_not_collide(store: FileJobStore) -> None:
    made = store.create(job("a"), {})
    gate = threading.Barrier(4)

    def write(number: int) -> None:
        gate.wait()
        for _ in range(10):
            store.write_text(made, "notes.txt", str(number) * 1000)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    text = store.read_text(made, "notes.txt") or ""
    assert (len(text), len(set(text))) == (1000, 1)
    assert {path.name for path in Path(made.folder).iterdir()} == {"job.json", "notes.txt"}


def test_a_run_that_is_queued_again_forgets_its_last_worker(store: FileJobStore) -> None:
    made = store.assign(store.create(job("a"), {}), WORKER)
    store.save(made.moved(JobStatus.RUNNING))
    assert store.get("a").worker == WORKER
    ended = store.end(made, EventKind.FAILED, {"code": "run-lost"})
    queued = store.requeue(ended, 99.0)
    assert queued == store.get("a")
    assert (queued.status, queued.worker, queued.queued_at) == (JobStatus.QUEUED, None, 99.0)
    assert (queued.ended_at, queued.problem) == (None, None)


# -- finding --------------------------------------------------------------------------------


def test_a_unique_beginning_is_enough_and_a_whole_id_always_is(store: FileJobStore) -> None:
    for id in ("run-1", "run-10", "other"):
        store.create(job(id), {})
    assert store.get("o").id == "other"
    assert store.get("run-1").id == "run-1"
    assert store.get("run-10").id == "run-10"
    found = refused(store.get, "run")
    assert (found.code, found.facts["name"]) == ("run-missing", "run")


def test_last_is_the_newest_by_its_time(store: FileJobStore) -> None:
    for id, at in (("b", 2.0), ("a", 3.0), ("c", 1.0)):
        store.create(job(id, at), {})
    assert store.get("last").id == "a"
    assert [made.id for made in store.all()] == ["a", "b", "c"]


def test_a_path_finds_a_run_wherever_it_was_moved(store: FileJobStore, tmp_path: Path) -> None:
    made = store.create(job("a"), {})
    moved = tmp_path / "elsewhere"
    Path(made.folder).rename(moved)
    assert store.get(str(moved)) == replace(made, folder=str(moved))


@pytest.mark.parametrize("name", ["", ".", "..", "/", "nope", "nope/at/all"])
def test_what_is_no_run_is_not_found(store: FileJobStore, name: str) -> None:
    store.create(job("a"), {})
    assert refused(store.get, name).code == "run-missing"


def test_a_folder_of_runs_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert FileJobStore(str(tmp_path / "none")).all() == []
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", "{}", '{"worker": null, "status": "lost"}', "\x00"]
)
def test_a_damaged_record_is_told_and_does_not_hide_other_runs(
    store: FileJobStore, content: str
) -> None:
    damaged, other = store.create(job("a"), {}), store.create(job("b"), {})
    (Path(damaged.folder) / "job.json").write_text(content, encoding="utf-8")
    found = refused(store.get, "a")
    assert (found.code, found.facts["folder"]) == ("run-damaged", damaged.folder)
    assert store.all() == [other]


def test_a_damaged_worker_record_is_told(store: FileJobStore) -> None:
    made = store.assign(store.create(job("a"), {}), WORKER)
    (Path(made.folder) / "worker.json").write_text(json.dumps({"pid": 1}), encoding="utf-8")
    assert refused(store.get, "a").code == "run-damaged"


# -- the place of runs ----------------------------------------------------------------------


def test_a_file_where_the_folder_should_be_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("in the way", encoding="utf-8")
    for folder in (tmp_path / "runs", tmp_path / "runs" / "deeper"):
        found = refused(FileJobStore(str(folder)).check_writable, 0)
        assert (found.code, found.exit_code) == ("output-unwritable", 4)
        assert found.facts["folder"] == str(folder)


def test_a_disk_without_room_is_refused_with_both_figures(store: FileJobStore) -> None:
    found = refused(store.check_writable, 10**18)
    assert (found.code, found.facts["needed"]) == ("output-disk-full", "931322574.62 GiB")


def test_checking_leaves_nothing_behind(tmp_path: Path) -> None:
    FileJobStore(str(tmp_path / "a" / "runs")).check_writable(1)
    assert list((tmp_path / "a" / "runs").iterdir()) == []
