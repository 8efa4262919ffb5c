"""Run programs: a model writes them, they are tried out, and pass@k is what passes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from domain.conversation import Conversation, Message, Role
from domain.errors import Place, fail
from domain.eval_results import Measured
from domain.eval_spec import ProgramSection
from domain.fingerprint import Json, fingerprint
from domain.generation_metrics import pass_at_k, program_of
from domain.measurement import Measurement, Metric
from domain.sampling import Sampling
from entrypoints.services.evaluation import Excluded, Instruments, Task, told_apart
from entrypoints.services.free_answers import answered, too_long
from ports.datasets import RowReader
from ports.program_checker import ProgramChecker, ProgramLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramTask:
    """What is to be programmed, and the tests of it."""

    question: str
    """The task, or the head of a function."""
    tests: str
    """Code that fails where the answer is wrong."""
    entry: str
    """The function that `check` of the tests is called with; empty where there is none."""
    place: str
    """file:line it stands at."""

    def program(self, answer: str) -> str:
        """The answer's program with the tests behind it."""
        called = f"\ncheck({self.entry})" if "def check(" in self.tests else ""
        return f"{program_of(answer, self.question, self.entry)}\n{self.tests}{called}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """Implements Evaluation: programs that are written and tried out."""

    about: Measured
    """Title, scores and excluded rows."""
    asked: ProgramSection
    """What was asked for."""
    seed: int
    """Seed of the first program of each task; the next ones count on."""
    found: Sequence[ProgramTask]
    """The tasks."""
    checker: ProgramChecker
    """What runs a program."""

    @property
    def tasks(self) -> Sequence[Task]:
        """One task."""
        hashes = [fingerprint([each.question, each.tests]) for each in self.found]
        return [Task(subject=self.asked.data.name, items=told_apart(hashes))] if hashes else []

    def measure(
        self, task: Task, wanted: Sequence[int], model: str, instruments: Instruments
    ) -> Iterator[Measurement | Excluded]:
        """pass@k of each task."""
        for number in wanted:
            each, item = self.found[number], task.items[number]
            tried = self._tried(each, model, instruments)
            if tried is None:
                yield too_long(each.place, item)
                continue
            passed = sum(reason is None for _, reason in tried)
            scores: dict[str, Json] = {
                f"pass@{k}": pass_at_k(len(tried), passed, k) for k in self.asked.k
            }
            yield Measurement(
                evaluation=self.about.title,
                item=item,
                model=model,
                subject=task.subject,
                category="programs",
                value=passed / len(tried),
                length=len(each.question),
                detail={
                    "place": each.place,
                    "question": each.question,
                    "samples": [{"text": text, "fault": fault} for text, fault in tried],
                    "empty": all(not text.strip() for text, _ in tried),
                    "scores": scores,
                },
            )

    def _tried(
        self, each: ProgramTask, model: str, instruments: Instruments
    ) -> list[tuple[str, str | None]] | None:
        """(answer, why it fails if so) of each sample; None where the task is too long to ask."""
        asked = self.asked
        text = asked.prompt.replace("{question}", each.question)
        conversation = Conversation((Message(Role.USER, text),))
        limits = ProgramLimits(time_s=asked.time_s, memory_mb=asked.memory_mb)
        found = []
        for number in range(asked.samples):
            sampling = Sampling(
                temperature=asked.temperature,
                max_tokens=asked.max_tokens,
                seed=self.seed + number,
            )
            answer = answered(instruments.engine(), model, conversation, sampling)
            if answer is None:
                return None
            found.append((answer, self.checker.check(each.program(answer), limits)))
        return found


@dataclass(frozen=True, slots=True)
class RunPrograms:
    """Reads tasks."""

    reader: RowReader
    checker: ProgramChecker

    def __call__(self, asked: ProgramSection, key: str, seed: int) -> Programs:
        """The tasks. Raises HextuneError without consent, and where they cannot be read."""
        if not asked.run_generated_code:
            raise fail(
                "eval-code-consent", Place(field=f"{key}.run_generated_code"), title=asked.shown
            )
        if not asked.k or not 1 <= min(asked.k) <= max(asked.k) <= asked.samples:
            ks = ", ".join(map(str, asked.k)) or "none"
            raise fail("eval-bad-k", Place(field=f"{key}.k"), k=ks, samples=asked.samples)
        read = list(self._read(asked))
        about = Measured(
            title=asked.shown,
            metric=Metric.SHARE,
            excluded=tuple(each.line for each in read if isinstance(each, Excluded)),
            notes=(self.checker.isolation(),),
            scores={f"pass@{k}": Metric.SHARE for k in asked.k},
        )
        found = [each for each in read if isinstance(each, ProgramTask)][: asked.limit]
        return Programs(about=about, asked=asked, seed=seed, found=found, checker=self.checker)

    def _read(self, asked: ProgramSection) -> Iterator[ProgramTask | Excluded]:
        for row in self.reader.read(asked.data):
            place = f"{row.file}:{row.line}"
            question = str(row.values.get(asked.columns.question) or "")
            given = row.values.get(asked.columns.tests) or ""
            tests = "\n".join(map(str, given)) if isinstance(given, list) else str(given)
            entry = str(row.values.get(asked.columns.entry) or "")
            if not question.strip():
                yield Excluded(f"{place} the task is empty")
            elif not tests.strip():
                yield Excluded(f"{place} it has no tests")
            elif "def check(" in tests and not entry:
                yield Excluded(f"{place} it does not name the function to check")
            else:
                yield ProgramTask(question=question, tests=tests, entry=entry, place=place)
