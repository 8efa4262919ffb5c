"""Evaluations as jobs: started, killed, resumed without repeating, counted, compared."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from dependency_injector import providers

from domain.errors import HextuneError
from domain.events import EventKind
from domain.job import Job, JobKind, JobStatus
from domain.model_handle import ResolvedModel
from domain.sampling import GenerationRequest, TextDelta
from entrypoints.services.evaluate_model import PREDICTIONS
from tests.fakes.models import HANDLE, FakeRowReader
from tests.fakes.processes import FakeLauncher
from tests.fakes.scoring import FakeEvaluationReportWriter, FakeExamReader, FakeScorer
from tests.services.world import World, codes, spec_text

EVAL = """\
model: {name: fake}
exams: [{name: fake, path: there, shots: 2}]
bootstrap: 100
"""


class EvalWorld(World):
    """A world with an exam; workers start when `work` is called."""

    def __init__(self, exams: FakeExamReader | None = None) -> None:
        super().__init__()
        self.exams = exams or FakeExamReader()
        self.scorer: FakeScorer | None = None
        self.reports = FakeEvaluationReportWriter()
        self.put(exams=self.exams, eval_reports=self.reports)
        self.container.open_scorer.override(providers.Callable(self._open))
        self.run = self.start().id  # a finished training run with an adapter
        self.put(launcher=FakeLauncher())
        self.launcher = self.container.launcher()

    def _open(self, resolved: ResolvedModel) -> FakeScorer:
        self.scorer = FakeScorer(resolved)
        return self.scorer

    @property
    def asked(self) -> list[tuple[str, str]]:
        return self.scorer.asked if self.scorer else []

    def evaluate(self, text: str = EVAL) -> Job:
        self.surroundings.time += 1
        started: Job = self.container.start_evaluation()(spec_text(text))
        return started

    def work(
        self, job: Job, *, resume: bool = False, stop: Callable[[], bool] = lambda: False
    ) -> Job:
        ended: Job = self.container.evaluate_model()(job.id, resume=resume, stop_asked=stop)
        return ended

    def results(self, job: Job) -> Any:
        return json.loads(self.jobs.read_text(job, "results.json"))

    def predictions(self, job: Job) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.jobs.lines(job, PREDICTIONS)]


def after(count: int) -> Callable[[], bool]:
    """A stop that is asked for after so many measurements."""
    left = [count]

    def asked() -> bool:
        left[0] -= 1
        return left[0] <= 0

    return asked


def test_an_evaluation_is_a_job_with_events_and_results() -> None:
    world = EvalWorld()
    job = world.evaluate()
    assert (job.kind, job.status, job.total_steps) == (JobKind.EVALUATE, JobStatus.QUEUED, 12)
    ended = world.work(job)
    assert ended.status is JobStatus.SUCCEEDED
    assert world.kinds(job)[:3] == ["created", "phase", "phase"]
    assert world.kinds(job)[-3:] == ["progress", "phase", "succeeded"]
    progress = [e for e in world.jobs.events(job) if e.kind is EventKind.PROGRESS][-1]
    assert (progress.data["step"], progress.data["total_steps"]) == (12, 12)
    (result,) = world.results(job)["evaluations"]
    right = [each["value"] for each in world.predictions(job)]
    found = result["models"]["fake"]
    assert found["overall"]["value"] == pytest.approx(sum(right) / 12)
    assert set(found["subjects"]) == {"law", "maths"}
    assert set(found["categories"]) == {"Humanities", "STEM", "Hard"}
    assert list(world.reports.written) == [f"{job.folder}/report.html"]
    assert world.scorer is not None
    assert world.scorer.closed


def test_examples_stand_before_the_questions_of_their_subject() -> None:
    world = EvalWorld()
    world.work(world.evaluate())
    assert world.scorer is not None
    assert world.scorer.prefixes[0] == (
        "About the law.\ndev law 0? A: yes B: no Answer: A\ndev law 1? A: yes B: no Answer: B\n"
    )


def test_base_and_adapter_are_measured_by_one_scorer_and_compared() -> None:
    world = EvalWorld()
    job = world.evaluate(EVAL.replace("name: fake}", f"name: {world.run[:20]}}}", 1))
    assert job.total_steps == 24
    world.work(job)
    assert {model for model, _ in world.asked} == {"fake", world.run}
    document = world.results(job)
    assert document["models"] == ["fake", world.run]
    two = document["evaluations"][0]["comparison"]
    assert (two["before"], two["after"]) == ("fake", world.run)
    values = {name: {} for name in document["models"]}  # type: ignore[var-annotated]
    for each in world.predictions(job):
        values[each["model"]][each["item"]] = each["value"]
    gains = [values[world.run][item] - base for item, base in values["fake"].items()]
    assert (two["gained"], two["lost"]) == (gains.count(1), gains.count(-1))
    assert gains.count(1) + gains.count(-1) == len(two["flips"]) > 0


def test_the_base_is_left_out_on_demand() -> None:
    world = EvalWorld()
    text = EVAL.replace("name: fake}", f"name: {world.run}, compare_base: false}}", 1)
    job = world.evaluate(text)
    world.work(job)
    assert world.results(job)["models"] == [world.run]


def test_the_measured_run_keeps_a_note_of_it() -> None:
    world = EvalWorld()
    job = world.evaluate(EVAL.replace("name: fake}", "name: last}", 1))
    world.work(job)
    (note,) = world.jobs.lines(world.jobs.get(world.run), "evaluations.jsonl")
    assert json.loads(note)["run"] == job.id
    assert json.loads(world.jobs.read_text(job, "spec.json"))["model"]["name"] == world.run


def test_a_killed_evaluation_goes_on_without_repeating() -> None:
    world = EvalWorld()
    whole = world.evaluate()
    world.work(whole)
    job = world.evaluate()
    with pytest.raises(KeyboardInterrupt):  # stands for a kill: nothing more is recorded
        world.work(job, stop=_kill_after(7))
    first = world.predictions(job)
    assert len(first) == 7
    world.jobs.end(job, EventKind.FAILED, {"code": "run-lost"})
    world.container.resume_run()(job.id)
    assert world.launcher.started[-1] == (job.id, True)
    assert world.work(job, resume=True).status is JobStatus.SUCCEEDED
    assert len(world.asked) == 5
    assert world.predictions(job)[:7] == first
    keys = [(each["item"], each["model"]) for each in world.predictions(job)]
    assert len(keys) == len(set(keys)) == 12
    assert world.results(job)["evaluations"] == world.results(whole)["evaluations"]
    resumed = [e for e in world.jobs.events(job) if e.kind is EventKind.RESUMED]
    assert [each.data["step"] for each in resumed] == [7]


def _kill_after(count: int) -> Callable[[], bool]:
    stop = after(count)

    def killed() -> bool:
        if stop():
            raise KeyboardInterrupt
        return False

    return killed


def test_asked_to_stop_it_ends_and_can_be_resumed() -> None:
    world = EvalWorld()
    job = world.evaluate()
    assert world.work(job, stop=after(3)).status is JobStatus.STOPPED
    assert len(world.predictions(job)) == 3
    assert world.jobs.read_text(job, "results.json") is None


def test_rows_that_are_no_questions_are_counted_and_listed() -> None:
    line = "test/law.csv:9 option A is empty"
    world = EvalWorld(FakeExamReader(faults={"law": [line]}))
    job = world.evaluate()
    world.work(job)
    (result,) = world.results(job)["evaluations"]
    assert result["excluded"] == [line]
    (warning,) = [e for e in world.jobs.events(job) if e.kind is EventKind.WARNING]
    assert (warning.data["code"], warning.data["facts"]["count"]) == ("eval-rows-excluded", "1")


def test_questions_longer_than_the_context_are_counted_and_listed() -> None:
    exams = FakeExamReader()
    exams.long = {"test law 2?"}
    world = EvalWorld(exams)
    job = world.evaluate()
    world.work(job)
    (result,) = world.results(job)["evaluations"]
    assert result["excluded"] == ["test/law.csv:3 longer than the model's context"]
    assert result["models"]["fake"]["overall"]["items"] == 11


def test_equal_questions_are_each_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    world = EvalWorld()
    asked = world.exams._question
    monkeypatch.setattr(
        world.exams, "_question", lambda split, subject, n: asked(split, subject, 1)
    )
    job = world.evaluate()
    world.work(job)
    assert len(world.predictions(job)) == 12
    assert world.results(job)["evaluations"][0]["models"]["fake"]["overall"]["items"] == 12


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"path: there": "path: elsewhere"}, ["exam-path-missing"]),
        ({"shots: 2": "shots: 7"}, ["exam-few-examples"] * 2),
        ({"shots: 2": "shots: 2, subjects: [lwa]"}, ["exam-unknown-subject"]),
        ({"name: fake, path": "name: other.json, path"}, ["exam-undescribed"]),
        ({"exams: [{name: fake, path: there, shots: 2}]\n": ""}, ["eval-nothing-asked"]),
        ({"shots: 2}]": "shots: 2}, {name: fake, path: there, shots: 2}]"}, ["eval-title-twice"]),
        ({"model: {name: fake}": "model: {name: nobody}"}, ["model-missing"]),
    ],
)
def test_mistakes_are_told_before_anything_starts(
    change: dict[str, str], expected: list[str]
) -> None:
    world = EvalWorld()
    text = EVAL
    for old, new in change.items():
        text = text.replace(old, new)
    assert codes(world.evaluate, text) == expected
    assert [job.kind for job in world.jobs.all()] == [JobKind.TRAIN]


def test_perplexity_counts_trained_tokens_or_all() -> None:
    world = EvalWorld()
    job = world.evaluate(
        "model: {name: fake}\n"
        "perplexity:\n"
        "  - {data: [{path: rows.jsonl}], title: answers, limit: 3}\n"
        "  - {data: [{path: rows.jsonl}], title: everything, over: all, limit: 3}\n"
    )
    assert job.total_steps == 6
    world.work(job)
    answers, everything = world.results(job)["evaluations"]
    weights = {
        title: [each["weight"] for each in world.predictions(job) if each["evaluation"] == title]
        for title in ("answers", "everything")
    }
    assert weights["answers"] == [len("Answer 0.\n")] * 3
    assert weights["everything"] == [len("user: Question 0?\nassistant: Answer 0.\n") - 1] * 3
    for found in (answers, everything):
        assert found["models"]["fake"]["overall"]["value"] == pytest.approx(7.389056)  # e^2


def test_a_long_row_is_scored_in_windows_once() -> None:
    world = EvalWorld()
    world.put(rows=FakeRowReader({"text.txt": [{"text": "abcdefghij" * 10}]}))
    job = world.evaluate(
        "model: {name: fake}\nperplexity: [{data: [{path: text.txt}], window: 16, stride: 8}]\n"
    )
    world.work(job)
    (found,) = world.predictions(job)
    assert found["weight"] == 99
    assert len(world.asked) > 10


@pytest.mark.parametrize("window", ["window: 16, stride: 16", "window: 4000"])
def test_windows_that_cannot_be_are_refused(window: str) -> None:
    text = f"model: {{name: fake}}\nperplexity: [{{data: [{{path: rows.jsonl}}], {window}}}]\n"
    assert codes(EvalWorld().evaluate, text) == ["eval-bad-window"]


class Answers:
    """An engine that answers from a table."""

    def __init__(self, table: dict[str, str]) -> None:
        self.table = table
        self.turns: list[int] = []
        self.closed = False

    def generate(self, request: GenerationRequest) -> Any:
        self.turns.append(len(request.conversation.messages))
        assert request.sampling.temperature == 0
        yield TextDelta(text=self.table[request.conversation.messages[-1].content])

    def close(self) -> None:
        self.closed = True


PROBLEMS = [
    {"question": "One and one?", "answer": "#### 2"},
    {"question": "No number?", "answer": "none"},
    {"question": "A dozen?", "answer": "#### 12"},
    {"question": "Nothing?", "answer": "#### 0"},
]


def test_problems_are_answered_freely_and_numbers_compared() -> None:
    world = EvalWorld()
    examples = [{"question": "E?", "answer": "#### 1"}] * 3
    world.put(rows=FakeRowReader({"test.jsonl": PROBLEMS, "train.jsonl": examples}))  # type: ignore[dict-item]
    engine = Answers({"One and one?": "It is 2.00.", "A dozen?": "11", "Nothing?": "I do not know"})
    world.container.open_engine.override(providers.Object(engine))
    job = world.evaluate(
        "model: {name: fake}\n"
        "problems: [{data: {path: test.jsonl}, examples: {path: train.jsonl}, shots: 2}]\n"
    )
    world.work(job)
    assert [each["value"] for each in world.predictions(job)] == [1.0, 0.0, 0.0]
    assert [each["detail"]["chosen"] for each in world.predictions(job)] == ["2.00", "11", None]
    assert engine.turns == [5, 5, 5]
    assert engine.closed
    (result,) = world.results(job)["evaluations"]
    assert result["excluded"] == ["test.jsonl:2 the answer has no number after ####"]


def test_examples_need_a_source() -> None:
    text = "model: {name: fake}\nproblems: [{data: {path: rows.jsonl}, shots: 2}]\n"
    assert codes(EvalWorld().evaluate, text) == ["eval-no-examples"]


# -- comparing ----------------------------------------------------------------------------------
def test_two_evaluations_are_compared_question_by_question() -> None:
    world = EvalWorld()
    base, tuned = world.evaluate(), world.evaluate(EVAL.replace("fake}", f"{world.run}}}", 1))
    for job in (base, tuned):
        world.work(job)
    (result,) = world.container.compare_evaluations()(base.id, tuned.id)
    own = world.results(tuned)["evaluations"][0]["comparison"]
    two = result.comparison
    assert two is not None
    assert (two.before, two.after) == (base.id, tuned.id)
    assert (two.gained, two.lost, two.unmatched) == (own["gained"], own["lost"], 0)
    assert two.p_value == own["p_value"]


def test_evaluations_without_a_common_title_are_refused() -> None:
    world = EvalWorld()
    one, other = world.evaluate(), world.evaluate(EVAL.replace("shots: 2", "shots: 1"))
    for job in (one, other):
        world.work(job)
    compare = world.container.compare_evaluations()
    assert codes(compare, one.id, other.id) == ["eval-nothing-shared"]
    assert codes(compare, one.id, world.run) == ["run-no-evaluation"]


# -- beside training runs -----------------------------------------------------------------------
def test_last_means_the_last_trained_model_whatever_was_evaluated_since() -> None:
    world = EvalWorld()
    world.work(world.evaluate())
    assert world.container.resolve_model()("last").label == world.run
    assert world.container.find_run().evaluated("last").kind is JobKind.EVALUATE


def test_an_evaluation_has_no_model() -> None:
    world = EvalWorld()
    job = world.evaluate()
    world.work(job)
    assert codes(world.container.resolve_model(), job.id) == ["run-is-evaluation"]


def test_an_exam_without_a_question_is_refused_with_the_first_reason() -> None:
    line = "test/law.csv:1 it has no options"
    text = EVAL.replace("shots: 2", "shots: 0")
    for faults, first in (({"law": [line]}, line), ({}, "its files have no rows")):
        world = EvalWorld(FakeExamReader(questions=0, faults=faults))
        with pytest.raises(HextuneError) as caught:
            world.evaluate(text)
        (told,) = caught.value.problems
        assert (told.code, told.facts["first"]) == ("eval-no-items", first)


def test_a_failure_on_the_way_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    world = EvalWorld()
    job = world.evaluate()
    world.exams.questions = 0
    ended = world.work(job)
    assert ended.status is JobStatus.FAILED
    assert (ended.problem or {})["code"] in ("exam-few-examples", "eval-no-items")
    assert HANDLE.name == "fake"
    with pytest.raises(HextuneError):
        world.container.find_run().evaluated(job.id)
