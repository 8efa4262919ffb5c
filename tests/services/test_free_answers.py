"""Free answers, programs and judgements as evaluations: scored, excluded, killed and resumed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from dependency_injector import providers

from domain.errors import fail
from domain.events import EventKind
from domain.job import JobStatus
from domain.sampling import GenerationRequest, TextDelta
from tests.fakes.models import HANDLE, FakeModelBackend, FakeRowReader
from tests.services.test_evaluate_model import EVAL, EvalWorld, _kill_after
from tests.services.world import codes

ROWS = [
    {"instruction": "Where is the tower?", "output": "In the city of Paris"},
    {"instruction": "Colour of the sky?", "output": "blue"},
    {"instruction": "Say nothing.", "output": "nothing"},
]
ANSWERS = """\
model: {name: fake}
answers: [{data: [{path: rows.jsonl}], title: qa, scores: [rouge-1, f1, exact-match, bleu-4]}]
bootstrap: 100
"""
JUDGED = """\
model: {name: fake}
judged: [{data: [{path: rows.jsonl}], url: 'http://judge/v1', judge: stern}]
bootstrap: 100
"""
PROGRAMS = """\
model: {name: fake}
programs:
  - {data: {path: tasks.jsonl}, run_generated_code: true, samples: 4, k: [1, 2], temperature: 0.8}
bootstrap: 100
"""
TASKS: list[dict[str, Any]] = [
    {
        "prompt": "def add(a, b):\n    ",
        "entry_point": "add",
        "test": "def check(f):\n    assert f(1, 2) == 3",
    },
    {"prompt": "Write x.", "test": ["assert x == 1"]},
    {"prompt": "", "test": "pass"},
    {"prompt": "No tests."},
    {"prompt": "Nobody to check.", "test": "def check(f): pass"},
]


class Told:
    """An engine that answers the last turn from a table, one entry after the other."""

    def __init__(self, table: dict[str, list[str]]) -> None:
        self.table = table
        self.asked: list[GenerationRequest] = []
        self.closed = 0

    def generate(self, request: GenerationRequest) -> Any:
        self.asked.append(request)
        said = request.conversation.messages[-1].content
        (found,) = [key for key in self.table if key in said]
        answers = self.table[found]
        if answers == ["too long"]:
            raise fail("request-too-long", prompt=9, asked=1, context=8)
        return iter([TextDelta(text=answers[len(self.asked) % len(answers)])])

    def close(self) -> None:
        self.closed += 1


def world_of(
    engine: Told, judge: Told | None = None, **files: Sequence[Mapping[str, object]]
) -> EvalWorld:
    world = EvalWorld()
    world.put(rows=FakeRowReader({f"{name}.jsonl": [*rows] for name, rows in files.items()}))
    world.container.open_engine.override(providers.Object(engine))
    if judge is not None:
        world.container.open_remote.override(providers.Object(judge))
    return world


ENGINE = {"tower": ["in the city of Paris"], "sky": ["The blue sky"], "nothing": [""]}


def test_each_score_is_a_result_of_its_own() -> None:
    engine = Told(ENGINE)
    world = world_of(engine, rows=ROWS)
    job = world.evaluate(ANSWERS)
    assert world.work(job).status is JobStatus.SUCCEEDED
    results = {each["title"]: each for each in world.results(job)["evaluations"]}
    assert list(results) == ["qa rouge-1", "qa f1", "qa exact-match", "qa bleu-4"]
    values = {title: each["models"]["fake"]["overall"]["value"] for title, each in results.items()}
    assert values["qa exact-match"] == pytest.approx(1 / 3)
    assert values["qa f1"] == pytest.approx((1 + 2 * 1 / 3 + 0) / 3)  # "the" is no word
    assert values["qa rouge-1"] == pytest.approx((1 + 2 * 1 / 4 + 0) / 3)
    assert results["qa exact-match"]["metric"] == "accuracy"
    assert results["qa bleu-4"]["models"]["fake"]["together"] > 0.3
    assert results["qa f1"]["models"]["fake"]["together"] is None
    assert "sacrebleu" in results["qa f1"]["notes"][0]
    assert len(world.predictions(job)) == len(engine.asked) == 3
    assert engine.closed == 1
    assert world.predictions(job)[0]["detail"]["chosen"] == "in the city of Paris"


def test_an_empty_answer_counts_and_is_told() -> None:
    world = world_of(Told(ENGINE), rows=ROWS)
    job = world.evaluate(ANSWERS)
    world.work(job)
    (warning,) = [e for e in world.jobs.events(job) if e.kind is EventKind.WARNING]
    assert (warning.data["code"], warning.data["facts"]["count"]) == ("eval-empty-answers", "1")


def test_rows_that_cannot_be_asked_are_counted() -> None:
    rows = [
        ROWS[0],
        {"instruction": "No answer?", "output": " "},
        {"instruction": "Long?", "output": "x"},
    ]
    world = world_of(Told({**ENGINE, "Long": ["too long"]}), rows=rows)
    job = world.evaluate(ANSWERS)
    assert job.total_steps == 2
    world.work(job)
    result = world.results(job)["evaluations"][0]
    assert result["models"]["fake"]["overall"]["items"] == 1
    first, second = result["excluded"]
    assert first.startswith("rows.jsonl:2")
    assert second == "rows.jsonl:3 longer than the model's context"


def test_two_evaluations_of_answers_are_compared_score_by_score() -> None:
    better = Told(ENGINE)
    world = world_of(better, rows=ROWS)
    after = world.evaluate(ANSWERS)
    world.work(after)
    world.container.open_engine.override(providers.Object(Told({**ENGINE, "tower": ["no"]})))
    before = world.evaluate(ANSWERS)
    world.work(before)
    found = {
        each.title: each for each in world.container.compare_evaluations()(before.id, after.id)
    }
    assert list(found) == ["qa rouge-1", "qa f1", "qa exact-match", "qa bleu-4"]
    two = found["qa exact-match"].comparison
    assert two is not None
    assert (two.gained, two.lost, two.test) == (1, 0, "McNemar, exact")
    two = found["qa rouge-1"].comparison
    assert two is not None
    assert two.difference.value == pytest.approx(1 / 3)


def test_a_model_that_cannot_chat_is_told_before_anything_starts() -> None:
    world = world_of(Told({}), rows=ROWS)
    world.put(models=FakeModelBackend(replace(HANDLE, has_chat_template=False)))
    assert codes(world.evaluate, ANSWERS) == ["model-not-chat"]
    assert world.evaluate(EVAL).total_steps == 12, "likelihoods need no template"


def test_an_answer_needs_a_score() -> None:
    text = ANSWERS.replace("[rouge-1, f1, exact-match, bleu-4]", "[]")
    assert codes(world_of(Told({}), rows=ROWS).evaluate, text) == ["eval-no-scores"]


def test_the_engine_that_is_named_answers() -> None:
    world, opened = world_of(Told(ENGINE), rows=ROWS), []

    def open_engine(resolved: object, engine: str) -> Told:
        opened.append(engine)
        return Told(ENGINE)

    world.container.open_engine.override(providers.Callable(open_engine))
    job = world.evaluate(ANSWERS.replace("name: fake}", "name: fake, engine: echo}", 1))
    assert world.work(job).status is JobStatus.SUCCEEDED
    assert opened == ["echo"]
    text = ANSWERS.replace("name: fake}", "name: fake, engine: ecko}", 1)
    assert len(codes(world.evaluate, text)) == 1
    assert len(world.jobs.all()) == 2


# -- programs -----------------------------------------------------------------------------------
def test_programs_are_tried_out_and_pass_at_k_is_told() -> None:
    engine = Told({"def add": ["return a + b", "return a - b"], "Write x": ["x = 2"]})
    world = world_of(engine, tasks=TASKS)
    job = world.evaluate(PROGRAMS)
    assert job.total_steps == 2
    assert world.work(job).status is JobStatus.SUCCEEDED
    one, two = world.results(job)["evaluations"]
    assert (one["title"], two["title"]) == ("programs pass@1", "programs pass@2")
    assert one["models"]["fake"]["overall"]["value"] == pytest.approx((2 / 4 + 0) / 2)
    assert two["models"]["fake"]["overall"]["value"] == pytest.approx((1 - 1 / 6) / 2)
    assert [line.partition(" ")[2] for line in one["excluded"]] == [
        "the task is empty",
        "it has no tests",
        "it does not name the function to check",
    ]
    assert "processes of their own" in one["notes"][0]
    samples = world.predictions(job)[1]["detail"]["samples"]
    assert samples[0] == {"text": "x = 2", "fault": "AssertionError"}
    assert [each.sampling.seed for each in engine.asked[:4]] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("run_generated_code: true", "run_generated_code: false"), "eval-code-consent"),
        (("run_generated_code: true, ", ""), "eval-code-consent"),
        (("k: [1, 2]", "k: [1, 5]"), "eval-bad-k"),
        (("k: [1, 2]", "k: []"), "eval-bad-k"),
        (("k: [1, 2]", "k: [0]"), "eval-bad-k"),
    ],
)
def test_programs_are_refused_before_anything_runs(change: tuple[str, str], expected: str) -> None:
    world = world_of(Told({}), tasks=TASKS)
    assert codes(world.evaluate, PROGRAMS.replace(*change)) == [expected]


# -- judged -------------------------------------------------------------------------------------
VERDICTS = {"city of Paris\n": ["Fine. [[9]]"], "blue sky": ["Hm. [[4]]"], "rate]\n\n": ["No."]}


def test_a_judge_rates_and_its_silence_is_counted() -> None:
    engine, judge = Told(ENGINE), Told(VERDICTS)
    world = world_of(engine, judge, rows=ROWS)
    job = world.evaluate(JUDGED)
    assert world.work(job).status is JobStatus.SUCCEEDED
    (result,) = world.results(job)["evaluations"]
    found = result["models"]["fake"]["overall"]
    assert (found["value"], found["items"], result["metric"]) == (6.5, 2, "rating")
    assert result["excluded"] == ["rows.jsonl:3 the judge gave fake no rating"]
    assert judge.asked[0].model == "stern"
    prompt = judge.asked[0].conversation.messages[0].content
    assert "[Question]\nWhere is the tower?" in prompt
    assert "[Reference answer]\nIn the city of Paris" in prompt
    assert "Rate how well" in result["notes"][0]
    assert "{answer}" in json.loads(world.jobs.read_text(job, "spec.json"))["judged"][0]["prompt"]
    assert judge.closed == 1


def test_a_killed_judgement_goes_on_and_asks_nothing_twice() -> None:
    engine, judge = Told(ENGINE), Told(VERDICTS)
    world = world_of(engine, judge, rows=[ROWS[2], *ROWS[:2]])
    job = world.evaluate(JUDGED)
    with pytest.raises(KeyboardInterrupt):  # stands for a kill: nothing more is recorded
        world.work(job, stop=_kill_after(2))
    world.jobs.end(job, EventKind.FAILED, {"code": "run-lost"})
    world.container.resume_run()(job.id)
    assert world.work(job, resume=True).status is JobStatus.SUCCEEDED
    assert len(engine.asked) == len(judge.asked) == 3
    (result,) = world.results(job)["evaluations"]
    assert result["models"]["fake"]["overall"]["items"] == 2
    assert result["excluded"] == ["rows.jsonl:1 the judge gave fake no rating"]


def test_a_judge_that_does_not_answer_fails_the_run_and_nothing_is_lost() -> None:
    world = world_of(Told(ENGINE), rows=ROWS)
    job = world.evaluate(JUDGED.replace("http://judge/v1", "http://127.0.0.1:9/v1"))
    ended = world.work(job)
    assert ended.status is JobStatus.FAILED
    assert (ended.problem or {})["code"] == "server-unreachable"
    world.container.open_remote.override(providers.Object(Told(VERDICTS)))
    world.container.resume_run()(job.id)
    assert world.work(job, resume=True).status is JobStatus.SUCCEEDED


@pytest.mark.parametrize(
    ("extra", "expected"),
    [("prompt: 'Rate it.'", "eval-judge-prompt"), ("lowest: 10", "eval-judge-scale")],
)
def test_a_judge_that_cannot_rate_is_refused(extra: str, expected: str) -> None:
    text = JUDGED.replace("judge: stern", f"judge: stern, {extra}")
    assert codes(world_of(Told({}), rows=ROWS).evaluate, text) == [expected]


def test_a_judge_that_never_rates_leaves_nothing_to_report() -> None:
    world = world_of(Told(ENGINE), Told({key: ["Fine."] for key in VERDICTS}), rows=ROWS)
    job = world.evaluate(JUDGED)

    def passing() -> bool:
        world.surroundings.time += 2
        return False

    ended = world.work(job, stop=passing)
    assert ended.status is JobStatus.FAILED
    assert (ended.problem or {})["code"] == "eval-nothing-measured"
    told = [e.data for e in world.jobs.events(job) if e.kind is EventKind.PROGRESS]
    assert [each["eta_s"] for each in told] == [1.0, 0.0], "an exclusion takes its time too"
    kept = [json.loads(line) for line in world.jobs.lines(job, "excluded.jsonl")]
    assert [each["detail"]["judgement"] for each in kept] == ["Fine."] * 3
