"""Encode rows: aligned rows become tokens and labels of at most the allowed length."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from domain.conversation import Conversation
from domain.cutting import shorten
from domain.dataset import AlignedRow, DatasetKind, StandardRow
from domain.errors import HextuneError, Place, Problem, fail, problem
from domain.masking import EncodedRow, TrainOn
from domain.run_spec import BatchingSection, DataSection
from entrypoints.services.align_data import SHOWN_BAD_ROWS
from ports.encoder import ConversationEncoder


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """What a stage, a model and a spec ask of the rows."""

    stage: str
    """The stage's name, for messages."""
    eats: DatasetKind
    """The kind of rows it trains on."""
    context_tokens: int
    """The model's context."""
    batching: BatchingSection
    """Whether rows are packed."""
    seed: int
    """Seed of drawing, mixing and holding out."""


def check_kinds(rows: Iterable[AlignedRow], asked: Preparation) -> None:
    """Raises HextuneError at the first row the stage cannot train on."""
    for row in rows:
        if row.row.kind is not asked.eats:
            raise fail(
                "data-kind-unfit",
                Place(file=row.file, line=row.line),
                stage=asked.stage,
                eats=asked.eats.value,
                path=row.file,
                kind=row.row.kind.value,
            )


def encode_rows(
    rows: Sequence[StandardRow], encoder: ConversationEncoder, data: DataSection
) -> Sequence[EncodedRow | HextuneError]:
    """Each row's tokens and labels as the stage sees them, before any cut."""
    if rows and rows[0].kind is DatasetKind.TEXT:
        return encoder.encode_texts([row.text for row in rows])
    shown = [row for row in rows if not row.media]
    conversations = [_reasoned(row.conversation(), data) for row in shown]
    encoded = iter(encoder.encode_all(conversations, TrainOn(data.train_on)))
    return [
        fail("data-media-unsupported", count=len(row.media)) if row.media else next(encoded)
        for row in rows
    ]


def _reasoned(conversation: Conversation, data: DataSection) -> Conversation:
    """The conversation with its reasoning kept or left out, as the spec says."""
    if data.reasoning == "keep":
        return conversation
    messages = tuple(replace(message, reasoning=None) for message in conversation.messages)
    return replace(conversation, messages=messages)


def whole(
    rows: Sequence[AlignedRow], encoded: Sequence[EncodedRow | HextuneError]
) -> tuple[list[EncodedRow], list[Problem]]:
    """(encoded rows, the problems of those that have no encoding, with their places)."""
    problems = [
        replace(each, place=Place(file=row.file, line=row.line))
        for row, found in zip(rows, encoded, strict=True)
        if isinstance(found, HextuneError)
        for each in found.problems
    ]
    return [found for found in encoded if isinstance(found, EncodedRow)], problems


def shortened(
    rows: Sequence[AlignedRow], encoded: Sequence[EncodedRow], data: DataSection, limit: int
) -> tuple[list[tuple[EncodedRow, str]], list[str]]:
    """(rows of at most `limit` tokens with their places, one line for each that was longer).

    Raises HextuneError where longer rows are errors.
    """
    kept: list[tuple[EncodedRow, str]] = []
    too_long: list[str] = []
    problems: list[Problem] = []
    for row, found in zip(rows, encoded, strict=True):
        place = Place(file=row.file, line=row.line)
        tokens = len(found.input_ids)
        if tokens <= limit:
            kept.append((found, str(place)))
        elif data.over_long == "error":
            problems.append(problem("data-row-too-long", place, tokens=tokens, limit=limit))
        else:
            pieces = shorten(found, limit, data.over_long)
            kept += [(piece, str(place)) for piece in pieces]
            became = f"{data.over_long}, {len(pieces)} kept" if pieces else "dropped"
            too_long.append(f"{row.file}:{row.line} {tokens} tokens, {became}")
    if problems:
        raise HextuneError(problems[:SHOWN_BAD_ROWS])
    return kept, too_long
