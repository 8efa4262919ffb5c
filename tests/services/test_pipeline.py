"""Pipelines over fakes: run step by step, stopped, resumed, and asked for a model."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from dependency_injector import providers

from adapters.engines.echo import Engine
from domain.events import EventKind
from domain.job import Job, JobKind, JobStatus, PartOf
from domain.pipeline import ROWS_FILE
from tests.fakes.processes import FakeLauncher
from tests.services.pipeline_world import CHAIN, PipelineWorld, StagedTrainer
from tests.services.world import World, codes, spec_text

# -- running ----------------------------------------------------------------------------------


def test_a_pipeline_runs_its_steps_in_order_and_each_is_a_run() -> None:
    world = PipelineWorld()
    job = world.container.find_run()(world.begin().id)
    assert (job.kind, job.status, job.total_steps) == (JobKind.PIPELINE, JobStatus.SUCCEEDED, 14)
    runs = world.parts(job)
    assert {name: (run.kind.value, run.status.value) for name, run in runs.items()} == {
        "sft": ("train", "succeeded"),
        "write": ("generate", "succeeded"),
        "dpo": ("train", "succeeded"),
    }
    spec = json.loads(world.jobs.read_text(runs["dpo"], "spec.json"))
    assert spec["model"]["adapters"] == [runs["sft"].id]
    assert spec["data"]["train"][0]["path"] == f"{runs['write'].folder}/{ROWS_FILE}"
    told = [
        (each["name"], each["number"], each["status"]) for each in world.said(job, EventKind.PART)
    ]
    assert told[1::2] == [
        ("sft", 1, "succeeded"),
        ("write", 2, "succeeded"),
        ("dpo", 3, "succeeded"),
    ]
    steps = [each["step"] for each in world.said(job, EventKind.PROGRESS)]
    assert steps == [3, 11, 14]
    (results,) = world.said(job, EventKind.SUCCEEDED)
    assert results == {"steps": {name: runs[name].id for name in ("sft", "write", "dpo")},
                       "model": runs["dpo"].id}  # fmt: skip


def test_written_rows_prefer_the_rows_own_answers() -> None:
    world = PipelineWorld()
    runs = world.parts(world.begin())
    rows = [json.loads(line) for line in world.jobs.lines(runs["write"], ROWS_FILE)]
    assert len(rows) == 8
    assert [message["content"] for message in rows[2]["response"]] == ["Answer 2.", "Question 2?"]


def test_the_name_of_a_pipeline_means_its_last_model_that_writes() -> None:
    world = PipelineWorld()
    job = world.begin()
    runs, find = world.parts(job), world.container.find_run()
    assert find.finished(job.id).id == find.finished("last").id == runs["dpo"].id
    assert find("last").id == job.id
    assert codes(find.finished, runs["write"].id) == ["run-not-training"]
    world.jobs.write_text(job, "results.json", json.dumps({"steps": {}, "model": None}))
    assert codes(find.finished, job.id) == ["pipeline-no-model"]


def test_a_request_that_comes_twice_starts_one_pipeline() -> None:
    world = PipelineWorld()
    first = world.begin(request_id="r")
    assert world.begin(request_id="r").id == first.id
    assert codes(world.begin, CHAIN.replace("max_tokens: 5", "max_tokens: 6"), "r") == [
        "run-request-differs"
    ]


def test_a_failed_step_ends_the_pipeline_and_resuming_goes_on_with_it() -> None:
    world = PipelineWorld()
    world.put(trainer=StagedTrainer("dpo"))
    job = world.container.find_run()(world.begin().id)
    assert job.status is JobStatus.FAILED
    assert (job.problem or {})["code"] == "pipeline-step-failed"
    assert (job.problem or {})["facts"]["step"] == "dpo"
    before = world.parts(job)
    world.put(trainer=StagedTrainer())
    world.container.resume_run()(job.id)
    after = world.parts(job)
    assert world.container.find_run()(job.id).status is JobStatus.SUCCEEDED
    assert {name: run.id for name, run in after.items()} == {n: r.id for n, r in before.items()}
    assert world.kinds(after["sft"]).count("resumed") == 0
    assert after["sft"] == before["sft"]


def test_a_stop_is_handed_on_to_the_step_at_work() -> None:
    world = PipelineWorld(working=False)
    job = world.begin()
    asked = iter([False, True, True, True])
    launcher: Any = world.container.launcher()
    stop = launcher.stop

    def stopped(worker: Any, *, now: bool = False) -> None:
        stop(worker, now=now)
        (run,) = world.parts(job).values()
        world.jobs.end(run, EventKind.STOPPED, {"step": 1})

    launcher.stop = stopped
    ended = world.work(job, stop=lambda: next(asked))
    assert ended.status is JobStatus.STOPPED
    assert list(world.parts(job)) == ["sft"]
    assert len(launcher.stopped) == 1


def test_a_pipeline_that_ends_now_takes_the_run_of_its_step_along() -> None:
    world = PipelineWorld(working=False)
    job = world.begin()
    world.container.start_run()(spec_text(CHAIN.partition("pipeline")[0]), None,
                                part_of=PartOf(pipeline=job.id, step="sft"))  # fmt: skip
    launcher: Any = world.container.launcher()
    world.container.stop_run()(job.id)
    assert len(launcher.stopped) == 1
    world.container.stop_run()(job.id, now=True)
    assert launcher.stopped[1:] == [(1, True), (2, True)]


def test_a_run_that_outlived_its_pipeline_is_followed_again_not_started_anew() -> None:
    """kill -9 of the pipeline's worker alone: the step's own worker goes on meanwhile."""
    world = PipelineWorld(working=False)
    job = world.begin()
    run = world.container.start_run()(spec_text(CHAIN.partition("pipeline")[0]), None,
                                      part_of=PartOf(pipeline=job.id, step="sft"))  # fmt: skip
    launcher: Any = world.container.launcher()
    launcher.dead.add(1)
    assert world.container.find_run()("last").id == job.id
    assert (world.container.find_run()(job.id).problem or {})["code"] == "run-lost"
    world.container.resume_run()("last")
    naps = iter(range(3))

    def sleep(seconds: float) -> None:
        if next(naps) == 1:
            world.jobs.write_text(run, "results.json", '{"adapter": true}')
            world.jobs.end(run, EventKind.SUCCEEDED, {})
            launcher._on_start = _worker(world)

    world.surroundings.sleep = sleep
    world.work(job, resume=True)
    assert world.parts(job)["sft"].id == run.id
    assert world.kinds(run).count("resumed") == 0


def _worker(world: World) -> Callable[[Job, bool], None]:
    def work(job: Job, resume: bool) -> None:
        does = (
            world.container.execute_run
            if job.kind is JobKind.TRAIN
            else (world.container.generate_pairs)
        )
        does()(job.id, resume=resume, stop_asked=lambda: False)

    return work


def test_a_run_that_was_recorded_but_never_started_is_started() -> None:
    world = PipelineWorld(working=False)
    job = world.begin()
    run = world.container.start_run()(spec_text(CHAIN.partition("pipeline")[0]), None,
                                      part_of=PartOf(pipeline=job.id, step="sft"))  # fmt: skip
    world.jobs.jobs[run.id] = run.moved(JobStatus.QUEUED, worker=None)
    world.put(launcher=FakeLauncher(_worker(world)))
    world.container.execute_pipeline()(job.id, resume=True, stop_asked=lambda: False)
    assert world.parts(job)["sft"].id == run.id
    assert world.container.find_run()(job.id).status is JobStatus.SUCCEEDED


# -- writing rows -----------------------------------------------------------------------------


def test_rows_are_written_on_from_where_a_worker_died_and_are_the_same() -> None:
    whole = PipelineWorld()
    expected = list(whole.jobs.lines(whole.parts(whole.begin())["write"], ROWS_FILE))

    world = PipelineWorld()
    runs = world.parts(world.begin())
    job, answers = runs["write"], list(world.jobs.lines(runs["write"], "answers.jsonl"))
    world.jobs.files[job.id, "answers.jsonl"] = "".join(f"{line}\n" for line in answers[:3])
    del world.jobs.files[job.id, ROWS_FILE]
    world.jobs.jobs[job.id] = job.moved(JobStatus.FAILED)
    world.container.resume_run()(job.id)
    assert list(world.jobs.lines(job, "answers.jsonl")) == answers
    assert list(world.jobs.lines(job, ROWS_FILE)) == expected


def test_answers_that_give_no_pair_are_an_error_that_says_so() -> None:
    world = PipelineWorld()
    for row in world.rows.files["rows.jsonl"]:
        row["output"] = row["instruction"]  # what the engine will say
    job = world.container.find_run()(world.begin().id)
    assert (job.problem or {})["facts"]["step"] == "write"
    written = world.parts(job)["write"]
    assert (written.problem or {})["code"] == "pipeline-no-pairs"


def test_an_answer_no_row_can_hold_makes_no_row() -> None:
    world = PipelineWorld()
    world.rows.files["rows.jsonl"] = [
        {"instruction": "a\tb?", "output": "x"}, {"instruction": "good?", "output": "y"},
    ]  # fmt: skip

    class Odd(Engine):
        def generate(self, request: Any) -> Any:
            for delta in super().generate(request):
                yield replace(delta, text=delta.text.replace("b", "\0"))

    world.container.open_engine.override(providers.Callable(lambda made: Odd(made, None)))  # type: ignore[arg-type]
    runs = world.parts(world.begin())
    results = json.loads(world.jobs.read_text(runs["write"], "results.json"))
    assert results == {"prompts": 2, "rows": 1, "without_a_pair": 1}
