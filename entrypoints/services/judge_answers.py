"""Judge answers: rows are answered freely, and another model rates each answer.

Asking a model for a rating follows Zheng et al. 2023 (MT-Bench), section 3.1.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from domain.conversation import Conversation, Message, Role
from domain.errors import Place, fail
from domain.eval_results import Measured
from domain.eval_spec import JudgedSection
from domain.fingerprint import Json
from domain.generation_metrics import rating_of
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
from ports.inference import InferenceBackend

MARK = "{answer}"
"""Where a judge's prompt has the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Implements Evaluation: answers that a judge rates."""

    about: Measured
    """Title and excluded rows."""
    asked: JudgedSection
    """What was asked for."""
    rows: Sequence[AskedRow]
    """The rows, in order."""
    open_judge: Callable[[str, str], InferenceBackend]
    """(address, model name) to an engine that asks a server."""

    @property
    def tasks(self) -> Sequence[Task]:
        """A task for each file."""
        return tasks_of(self.rows)

    def measure(
        self, task: Task, wanted: Sequence[int], model: str, instruments: Instruments
    ) -> Iterator[Measurement | Excluded]:
        """The rating of each answer. Raises HextuneError where the judge gives no answer."""
        of_file = [row for row in self.rows if row.file == task.subject]
        sampling = Sampling(temperature=0.0, max_tokens=self.asked.max_tokens)
        with closing(self.open_judge(self.asked.url, self.asked.judge)) as judge:
            for number in wanted:
                row, item = of_file[number], task.items[number]
                answer = answered(instruments.engine(), model, row.conversation, sampling)
                if answer is None:
                    yield too_long(row.place, item)
                    continue
                yield self._rated(row, item, model, answer, self._judgement(judge, row, answer))

    def _judgement(self, judge: InferenceBackend, row: AskedRow, answer: str) -> str:
        filled = self.asked.prompt
        for name, value in (
            ("{lowest}", str(self.asked.lowest)),
            ("{highest}", str(self.asked.highest)),
            ("{question}", row.question),
            ("{reference}", row.reference),
            (MARK, answer),
        ):
            filled = filled.replace(name, value)
        asked = Conversation((Message(Role.USER, filled),))
        sampling = Sampling(temperature=0.0, max_tokens=self.asked.max_tokens)
        return answered(judge, self.asked.judge, asked, sampling) or ""

    def _rated(
        self, row: AskedRow, item: str, model: str, answer: str, judgement: str
    ) -> Measurement | Excluded:
        rating = rating_of(judgement, self.asked.lowest, self.asked.highest)
        detail: dict[str, Json] = {
            "place": row.place,
            "question": row.question[:SHOWN_CHARACTERS],
            "text": answer,
            "empty": not answer.strip(),
            "judgement": judgement,
        }
        if rating is None:
            return Excluded(f"{row.place} the judge gave {model} no rating", item, detail)
        return Measurement(
            evaluation=self.about.title,
            item=item,
            model=model,
            subject=row.file,
            category="judged",
            value=rating,
            length=len(row.question),
            detail=detail,
        )


@dataclass(frozen=True, slots=True)
class JudgeAnswers:
    """Reads rows."""

    reader: RowReader
    open_judge: Callable[[str, str], InferenceBackend]

    def __call__(self, asked: JudgedSection, key: str) -> Judged:
        """The rows. Raises HextuneError where they, the prompt or the scale cannot be used."""
        if MARK not in asked.prompt:
            place = Place(field=f"{key}.prompt")
            raise fail("eval-judge-prompt", place, title=asked.shown, mark=MARK)
        if asked.lowest >= asked.highest:
            place = Place(field=f"{key}.highest")
            raise fail("eval-judge-scale", place, lowest=asked.lowest, highest=asked.highest)
        rows, excluded = asked_rows(self.reader, asked.data, asked.limit, compared=False)
        about = Measured(
            title=asked.shown,
            metric=Metric.RATING,
            excluded=tuple(excluded),
            notes=(
                f"{asked.judge} at {asked.url} rates from {asked.lowest} to {asked.highest}. "
                f"It is asked:\n{asked.prompt}",
            ),
        )
        return Judged(about=about, asked=asked, rows=rows, open_judge=self.open_judge)
