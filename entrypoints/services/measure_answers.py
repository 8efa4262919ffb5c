"""Measure answers: rows are answered freely, and each answer is compared with the row's own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from domain.errors import Place, fail
from domain.eval_results import Measured
from domain.eval_spec import AnswerSection
from domain.fingerprint import Json
from domain.generation_metrics import is_chinese
from domain.measurement import Measurement, Metric
from domain.sampling import Sampling
from entrypoints.services.evaluation import Excluded, Instruments, Task
from entrypoints.services.free_answers import (
    SHOWN_CHARACTERS,
    AskedRow,
    answered,
    asked_rows,
    tasks_of,
    too_long,
)
from ports.datasets import RowReader
from ports.text_metrics import TextMetrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Implements Evaluation: rows that are answered freely."""

    about: Measured
    """Title, scores and excluded rows."""
    asked: AnswerSection
    """What was asked for."""
    seed: int
    """Seed of tokens that are drawn."""
    rows: Sequence[AskedRow]
    """The rows, in order."""
    metrics: TextMetrics
    """What compares texts."""

    @property
    def tasks(self) -> Sequence[Task]:
        """A task for each file."""
        return tasks_of(self.rows)

    def measure(
        self, task: Task, wanted: Sequence[int], model: str, instruments: Instruments
    ) -> Iterator[Measurement | Excluded]:
        """The scores of each answer; an empty one scores what nothing scores."""
        of_file = [row for row in self.rows if row.file == task.subject]
        sampling = Sampling(
            temperature=self.asked.temperature, max_tokens=self.asked.max_tokens, seed=self.seed
        )
        for number in wanted:
            row, item = of_file[number], task.items[number]
            answer = answered(instruments.engine(), model, row.conversation, sampling)
            if answer is None:
                yield too_long(row.place, item)
            else:
                yield self._measurement(row, item, model, answer)

    def _measurement(self, row: AskedRow, item: str, model: str, answer: str) -> Measurement:
        language = self.asked.language
        if language == "auto":
            language = "zh" if is_chinese(row.reference) else "en"
        scores = self.metrics.compared(answer, row.reference, self.asked.scores, language)
        detail: dict[str, Json] = {
            "place": row.place,
            "question": row.question[:SHOWN_CHARACTERS],
            "answer": row.reference,
            "chosen": answer,
            "empty": not answer.strip(),
            "scores": dict(scores),
        }
        if "bleu-4" in scores:
            detail["bleu"] = list(self.metrics.counts(answer, row.reference, language))
        return Measurement(
            evaluation=self.about.title,
            item=item,
            model=model,
            subject=row.file,
            category="answers",
            value=scores[self.asked.scores[0]],
            length=len(row.question),
            detail=detail,
        )


@dataclass(frozen=True, slots=True)
class MeasureAnswers:
    """Reads rows."""

    reader: RowReader
    metrics: TextMetrics

    def __call__(self, asked: AnswerSection, key: str, seed: int) -> Answers:
        """The rows. Raises HextuneError where they cannot be read or no score is asked for."""
        if not asked.scores:
            raise fail("eval-no-scores", Place(field=f"{key}.scores"), title=asked.shown)
        rows, excluded = asked_rows(self.reader, asked.data, asked.limit)
        exact = Metric.ACCURACY
        about = Measured(
            title=asked.shown,
            metric=Metric.SHARE,
            excluded=tuple(excluded),
            notes=tuple(self.metrics.notes(asked.scores)),
            scores={
                name: exact if name == "exact-match" else Metric.SHARE for name in asked.scores
            },
        )
        return Answers(about=about, asked=asked, seed=seed, rows=rows, metrics=self.metrics)
