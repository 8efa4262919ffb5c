"""Exams: multiple-choice questions, the prompt their authors ask them with, and the averages.

An answer is the option whose letter the model finds likeliest after the prompt (MMLU, Hendrycks et
al. 2021; C-Eval, Huang et al. 2023; CMMLU, Li et al. 2024).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from domain.eval_results import Average
from domain.fingerprint import Json, fingerprint
from domain.section import section


@section
class Subject:
    """One subject of an exam."""

    name: str
    """What the prompt calls it."""
    category: str
    """The category it counts in."""
    also: tuple[str, ...] = ()
    """Further categories it counts in, which cut across the others."""


@section
class ExamDescription:
    """How an exam is laid out and asked: one file of the catalogue."""

    summary: str
    """One line for lists."""
    source: str
    """Who made it, and where its prompt is defined."""
    files: str
    """Path of a subject's .csv or .jsonl file: {split} and {subject} stand for themselves."""
    options: tuple[str, ...]
    """Letters of the options, in order."""
    intro: str
    """What stands before the first example; {subject} is the subject's name."""
    question: str
    """A question as it is asked; {question} and the letters stand for their texts."""
    answer: str
    """What follows the question in an example; {answer} is the right letter."""
    option: str
    """What is scored after the question for one option; {answer} is its letter."""
    subjects: Mapping[str, Subject]
    """File name of each subject to what it is."""
    columns: tuple[str, ...] = ()
    """Csv: the columns in order: question, the options by their letters, answer; others are passed
    over."""
    header: bool = False
    """Csv: whether a file begins with the names of its columns."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """Jsonl: the key that holds the question, an option's letter or the answer, where it has
    another name; dots lead into lists and mappings, as in choices.0."""
    answers: Mapping[str, str] = field(default_factory=dict)
    """What a file writes for an answer to the option's letter, where it is not the letter."""
    average: Average = "questions"
    """Whether its authors average over questions, or over the averages of subjects."""
    split: str = "test"
    """Split that is asked."""
    examples_split: str = "dev"
    """Split the examples come from."""

    def prompt(self, subject: str, examples: Sequence["Question"]) -> str:
        """What stands before every question of a subject."""
        asked = [self.ask(each) + self.answer.format(answer=each.answer) for each in examples]
        return self.intro.format(subject=self.subjects[subject].name) + "".join(asked)

    def ask(self, question: "Question") -> str:
        """The question as the model reads it."""
        options = dict(zip(self.options, question.options, strict=True))
        return self.question.format(question=question.text, **options)

    def continuations(self) -> tuple[str, ...]:
        """What is scored after a question, one text for each option."""
        return tuple(self.option.format(answer=letter) for letter in self.options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question of an exam."""

    subject: str
    """The subject it belongs to."""
    text: str
    """The question."""
    options: tuple[str, ...]
    """The texts of the options, in order."""
    answer: str
    """Letter of the right option."""
    place: str
    """file:line it stands at."""

    @property
    def item(self) -> str:
        """Content hash of what is asked."""
        return fingerprint([self.subject, self.text, list(self.options)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A question and what a model made of it."""

    question: Question
    """What was asked."""
    scores: tuple[float, ...]
    """Log-likelihood of each option, in nats."""
    letters: tuple[str, ...]
    """The options' letters."""

    @property
    def chosen(self) -> str:
        """The likeliest option; of equal ones the first."""
        return self.letters[max(range(len(self.scores)), key=lambda n: (self.scores[n], -n))]

    @property
    def right(self) -> bool:
        """Whether the likeliest option is the right one."""
        return self.chosen == self.question.answer

    def as_json(self) -> dict[str, Json]:
        """The record of a question, as predictions are kept."""
        return {
            "question": self.question.text,
            "options": list(self.question.options),
            "place": self.question.place,
            "answer": self.question.answer,
            "chosen": self.chosen,
            "scores": list(self.scores),
        }
