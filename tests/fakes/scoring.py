"""A scorer whose likelihoods come from the text alone, exams kept in memory, and a report kept."""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256

from domain.errors import fail
from domain.eval_results import EvaluationResult
from domain.exam import ExamDescription, Question, Subject
from domain.model_handle import ResolvedModel
from domain.sampling import ServedModel
from domain.scoring import ScoredGroup, ScoredTokens

CONTEXT = 400
"""Characters it can read."""

EXAM = ExamDescription(
    summary="Two subjects of nothing",
    source="nobody",
    files="{split}/{subject}.csv",
    options=("A", "B"),
    intro="About {subject}.\n",
    question="{question} A: {A} B: {B} Answer:",
    answer=" {answer}\n",
    option=" {answer}",
    subjects={
        "law": Subject(name="the law", category="Humanities"),
        "maths": Subject(name="numbers", category="STEM", also=("Hard",)),
    },
)


class FakeScorer:
    """Implements ports.scorer.Scorer: one token for each character."""

    def __init__(self, resolved: ResolvedModel) -> None:
        self._served = list(resolved.served())
        self.asked: list[tuple[str, str]] = []
        """(model, text) of every item and row that was scored."""
        self.prefixes: list[str] = []
        self.closed = False

    def models(self) -> Sequence[ServedModel]:
        return self._served

    def score(
        self, group: ScoredGroup, model: str
    ) -> Iterator[tuple[int, tuple[float, ...] | None]]:
        self._check(model)
        return self._scores(group, model)

    def _scores(
        self, group: ScoredGroup, model: str
    ) -> Iterator[tuple[int, tuple[float, ...] | None]]:
        self.prefixes.append(group.prefix)
        for number in reversed(range(len(group.items))):
            item = group.items[number]
            before = group.prefix + item.text
            if len(before) + max(map(len, item.continuations)) > CONTEXT:
                yield number, None
                continue
            self.asked.append((model, item.text))
            yield number, tuple(logp(model, before, each) for each in item.continuations)

    def score_tokens(self, rows: Sequence[ScoredTokens], model: str) -> Iterator[tuple[int, float]]:
        self._check(model)
        for number, row in enumerate(rows):
            self.asked.append((model, repr(row.ids)))
            yield number, -2.0 * sum(row.counted)

    def close(self) -> None:
        self.closed = True

    def _check(self, model: str) -> None:
        names = [served.name for served in self._served]
        if model not in names:
            raise fail("model-not-served", name=model, names=", ".join(names))


def logp(model: str, before: str, continuation: str) -> float:
    """Between -8 and 0, by the text alone."""
    return -sha256(f"{model}|{before}|{continuation}".encode()).digest()[0] / 32


class FakeExamReader:
    """Implements ports.exams.ExamReader over questions in memory."""

    def __init__(self, questions: int = 6, faults: Mapping[str, list[str]] | None = None) -> None:
        self.questions = questions
        self.faults = faults or {}
        self.long: set[str] = set()
        """Questions that are made too long."""

    def describe(self, name: str) -> ExamDescription:
        if name != "fake":
            raise fail("exam-undescribed", path=name)
        return EXAM

    def read(
        self, exam: ExamDescription, path: str, split: str, subject: str
    ) -> tuple[list[Question], list[str]]:
        if path != "there":
            raise fail("exam-path-missing", path=path)
        found = [self._question(split, subject, number) for number in range(self.questions)]
        return found, self.faults.get(subject, [])

    def _question(self, split: str, subject: str, number: int) -> Question:
        text = f"{split} {subject} {number}?"
        return Question(
            subject=subject,
            text=text + " very" * 100 if text in self.long else text,
            options=("yes", "no"),
            answer="AB"[number % 2],
            place=f"{split}/{subject}.csv:{number + 1}",
        )


class FakeEvaluationReportWriter:
    """Implements ports.eval_reports.EvaluationReportWriter."""

    def __init__(self) -> None:
        self.written: dict[str, Sequence[EvaluationResult]] = {}

    def write(self, path: str, heading: str, results: Sequence[EvaluationResult]) -> None:
        self.written[path] = results
