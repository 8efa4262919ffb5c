"""Solve problems: each is answered freely, and the number of the answer is compared."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from domain.conversation import Conversation, Message, Role
from domain.dataset import DataSource
from domain.errors import HextuneError, Place, fail
from domain.eval_results import Measured
from domain.eval_spec import ProblemSection
from domain.fingerprint import fingerprint
from domain.measurement import Measurement, Metric
from domain.sampling import GenerationRequest, Sampling
from domain.worked_answer import answered_number, reference_number
from entrypoints.services.evaluation import Excluded, Instruments, Task, told_apart
from ports.datasets import RowReader


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A problem with its worked answer."""

    question: str
    """The problem."""
    answer: str
    """The worked answer."""
    place: str
    """file:line it stands at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problems:
    """Implements Evaluation: problems that are answered freely."""

    about: Measured
    """Title, metric and excluded rows."""
    asked: ProblemSection
    """What was asked for."""
    problems: Sequence[Problem]
    """The problems."""
    examples: Sequence[Problem]
    """Worked examples before each."""

    @property
    def tasks(self) -> Sequence[Task]:
        """One task."""
        hashes = [fingerprint([each.question]) for each in self.problems]
        return [Task(subject=self.asked.data.name, items=told_apart(hashes))] if hashes else []

    def measure(
        self, task: Task, wanted: Sequence[int], model: str, instruments: Instruments
    ) -> Iterator[Measurement | Excluded]:
        """The greedy answer to each problem, right or wrong."""
        for number in wanted:
            problem = self.problems[number]
            try:
                answer = self._answer(problem, model, instruments)
            except HextuneError as error:
                if error.problems[0].code != "request-too-long":
                    raise
                yield Excluded(f"{problem.place} longer than the model's context")
                continue
            expected, found = reference_number(problem.answer), answered_number(answer)
            yield Measurement(
                evaluation=self.about.title,
                item=task.items[number],
                model=model,
                subject=task.subject,
                category="problems",
                value=float(found == expected),
                length=len(problem.question),
                detail={
                    "question": problem.question,
                    "place": problem.place,
                    "answer": str(expected),
                    "chosen": None if found is None else str(found),
                    "text": answer,
                },
            )

    def _answer(self, problem: Problem, model: str, instruments: Instruments) -> str:
        turns = []
        for each in self.examples:
            turns += [Message(Role.USER, self._prompt(each)), Message(Role.ASSISTANT, each.answer)]
        turns.append(Message(Role.USER, self._prompt(problem)))
        request = GenerationRequest(
            model=model,
            conversation=Conversation(tuple(turns)),
            sampling=Sampling(temperature=0.0, max_tokens=self.asked.max_tokens),
        )
        return "".join(delta.text for delta in instruments.engine().generate(request))

    def _prompt(self, problem: Problem) -> str:
        return self.asked.prompt.replace("{question}", problem.question)


@dataclass(frozen=True, slots=True)
class SolveProblems:
    """Reads problems."""

    reader: RowReader

    def __call__(self, asked: ProblemSection, key: str) -> Problems:
        """The problems and examples. Raises HextuneError where they cannot be read."""
        examples: list[Problem] = []
        if asked.shots:
            if asked.examples is None:
                raise fail("eval-no-examples", Place(field=f"{key}.examples"), shots=asked.shots)
            found = (p for p in self._read(asked.examples, asked) if isinstance(p, Problem))
            examples = list(islice(found, asked.shots))
        read = list(self._read(asked.data, asked))
        about = Measured(
            title=asked.shown,
            metric=Metric.ACCURACY,
            excluded=tuple(each.line for each in read if isinstance(each, Excluded)),
        )
        problems = [each for each in read if isinstance(each, Problem)][: asked.limit]
        return Problems(about=about, asked=asked, problems=problems, examples=examples)

    def _read(self, source: DataSource, asked: ProblemSection) -> Iterator[Problem | Excluded]:
        for row in self.reader.read(source):
            place = f"{row.file}:{row.line}"
            question = str(row.values.get(asked.columns.question) or "").strip()
            answer = str(row.values.get(asked.columns.answer) or "")
            if not question:
                yield Excluded(f"{place} the question is empty")
            elif reference_number(answer) is None:
                yield Excluded(f"{place} the answer has no number after ####")
            else:
                yield Problem(question=question, answer=answer, place=place)
