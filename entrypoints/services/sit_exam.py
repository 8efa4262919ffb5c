"""Sit an exam: questions and examples are read, and every option's likelihood is measured."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from domain.errors import HextuneError, Place, Problem, fail
from domain.eval_results import Measured
from domain.eval_spec import ExamSection
from domain.exam import Answered, ExamDescription, Question
from domain.measurement import Measurement, Metric
from domain.scoring import ScoredGroup, ScoredItem
from entrypoints.services.evaluation import Excluded, Instruments, Task, told_apart
from ports.exams import ExamReader


@dataclass(frozen=True, slots=True, kw_only=True)
class Exam:
    """Implements Evaluation: an exam whose questions are read."""

    about: Measured
    """Title, metric and excluded rows."""
    exam: ExamDescription
    """How it is asked."""
    prefixes: Mapping[str, str]
    """Subject to what stands before each of its questions."""
    questions: Mapping[str, Sequence[Question]]
    """Subject to its questions."""

    @property
    def tasks(self) -> Sequence[Task]:
        """A task for each subject."""
        return [
            Task(subject=subject, items=told_apart([each.item for each in asked]))
            for subject, asked in self.questions.items()
            if asked
        ]

    def measure(
        self, task: Task, wanted: Sequence[int], model: str, instruments: Instruments
    ) -> Iterator[Measurement | Excluded]:
        """The likeliest option of each question, right or wrong."""
        asked = [self.questions[task.subject][number] for number in wanted]
        options = self.exam.continuations()
        group = ScoredGroup(
            prefix=self.prefixes[task.subject],
            items=[ScoredItem(text=self.exam.ask(each), continuations=options) for each in asked],
        )
        subject = self.exam.subjects[task.subject]
        for number, scores in instruments.scorer().score(group, model):
            question = asked[number]
            if scores is None:
                yield Excluded(f"{question.place} longer than the model's context")
                continue
            answered = Answered(question=question, scores=scores, letters=self.exam.options)
            yield Measurement(
                evaluation=self.about.title,
                item=task.items[wanted[number]],
                model=model,
                subject=task.subject,
                category=subject.category,
                also=subject.also,
                value=float(answered.right),
                length=len(group.items[number].text),
                detail=answered.as_json(),
            )


@dataclass(frozen=True, slots=True)
class SitExam:
    """Reads exams."""

    reader: ExamReader

    def __call__(self, asked: ExamSection, key: str) -> Exam:
        """The exam, its questions read. Raises HextuneError with every subject that fails.

        `key` is where the section stands in the spec.
        """
        exam = self.reader.describe(asked.name)
        subjects = asked.subjects or tuple(exam.subjects)
        problems: list[Problem] = []
        prefixes: dict[str, str] = {}
        questions: dict[str, Sequence[Question]] = {}
        faults: list[str] = []
        for subject in subjects:
            try:
                _check(exam, asked, subject, key)
                prefixes[subject] = exam.prompt(subject, self._examples(exam, asked, subject, key))
                found, wrong = self.reader.read(
                    exam, asked.path, asked.split or exam.split, subject
                )
            except HextuneError as error:
                # a folder that is not there is missing for every subject
                problems += [each for each in error.problems if each not in problems]
                continue
            questions[subject] = found[: asked.limit]
            faults += wrong
        if problems:
            raise HextuneError(problems)
        about = Measured(
            title=asked.shown,
            metric=Metric.ACCURACY,
            average=exam.average,
            excluded=tuple(faults),
        )
        return Exam(about=about, exam=exam, prefixes=prefixes, questions=questions)

    def _examples(
        self, exam: ExamDescription, asked: ExamSection, subject: str, key: str
    ) -> Sequence[Question]:
        """The first worked examples of a subject. Raises HextuneError where there are too few."""
        if not asked.shots:
            return []
        found, _ = self.reader.read(exam, asked.path, exam.examples_split, subject)
        if len(found) < asked.shots:
            raise fail(
                "exam-few-examples",
                Place(field=f"{key}.shots"),
                shots=asked.shots,
                subject=subject,
                count=len(found),
            )
        return found[: asked.shots]


def _check(exam: ExamDescription, asked: ExamSection, subject: str, key: str) -> None:
    if subject in exam.subjects:
        return
    nearest = difflib.get_close_matches(subject, exam.subjects, n=1)
    hint = f"Did you mean `{nearest[0]}`?" if nearest else f"Known: {', '.join(exam.subjects)}."
    raise fail(
        "exam-unknown-subject",
        Place(field=f"{key}.subjects"),
        exam=asked.name,
        subject=subject,
        suggestion=hint,
    )
