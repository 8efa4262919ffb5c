"""Rows answered freely: what is asked, and a model's answer to it."""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.conversation import Conversation
from domain.dataset import DatasetKind, DataSource, StandardRow
from domain.errors import HextuneError
from domain.fingerprint import fingerprint
from domain.run_spec import DataSection
from domain.sampling import GenerationRequest, Sampling
from entrypoints.services.align_data import AlignData
from entrypoints.services.evaluation import Excluded, Task, told_apart
from ports.datasets import RowReader
from ports.inference import InferenceBackend

SHOWN_CHARACTERS = 1000
"""Characters of a question that its record keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedRow:
    """A question with the answer it should have."""

    conversation: Conversation
    """What the model is asked: every turn before the answer."""
    reference: str
    """The row's own answer; the chosen one in a preference."""
    file: str
    """The file as the spec names it."""
    line: int
    """The row's place in it."""

    @property
    def place(self) -> str:
        """file:line it stands at."""
        return f"{self.file}:{self.line}"

    @property
    def question(self) -> str:
        """The last turn before the answer."""
        return self.conversation.messages[-1].content

    @property
    def item(self) -> str:
        """Its content hash."""
        return fingerprint([self.conversation.as_json(), self.reference])


def asked_rows(
    reader: RowReader,
    sources: tuple[DataSource, ...],
    limit: int | None,
    *,
    compared: bool = True,
) -> tuple[Sequence[AskedRow], Sequence[str]]:
    """(the first rows that ask something, a line for each that does not).

    Rows need an answer of their own where answers are `compared` with it. Raises
    HextuneError where the sources cannot be read.
    """
    aligned, _ = AlignData(reader)(DataSection(train=sources, on_bad_row="drop"), 0)
    excluded = list(aligned.dropped)
    rows: list[AskedRow] = []
    for each in aligned.rows:
        reason = _unfit(each.row, compared)
        if reason:
            excluded.append(f"{each.file}:{each.line} {reason}")
            continue
        row = each.row
        rows.append(
            AskedRow(
                conversation=Conversation(row.prompt, row.tools),
                reference=_reference(row),
                file=each.file,
                line=each.line,
            )
        )
    return rows[:limit], excluded


def tasks_of(rows: Sequence[AskedRow]) -> Sequence[Task]:
    """A task for each file."""
    files: dict[str, list[str]] = {}
    for row, item in zip(rows, told_apart([row.item for row in rows]), strict=True):
        files.setdefault(row.file, []).append(item)
    return [Task(subject=file, items=tuple(items)) for file, items in files.items()]


def answered(
    engine: InferenceBackend, model: str, conversation: Conversation, sampling: Sampling
) -> str | None:
    """The whole answer; None where the question is longer than the context."""
    request = GenerationRequest(model=model, conversation=conversation, sampling=sampling)
    try:
        return "".join(delta.text for delta in engine.generate(request))
    except HextuneError as error:
        if error.problems[0].code != "request-too-long":
            raise
        return None


def too_long(place: str, item: str) -> Excluded:
    """An item whose question is longer than the context."""
    return Excluded(f"{place} longer than the model's context", item)


def _reference(row: StandardRow) -> str:
    return row.responses[0].content if row.responses else row.answer


def _unfit(row: StandardRow, compared: bool) -> str | None:
    """Why a row cannot be asked, if so."""
    if row.kind is DatasetKind.TEXT or row.verbatim:
        return "plain text asks nothing"
    if len(row.media):
        return "it shows or plays files, which engines do not take"
    if compared and not _reference(row).strip():
        return "its answer is empty"
    return None
