"""Encode rows: aligned rows become tokens and labels of at most the allowed length."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from domain.conversation import Conversation
from domain.cutting import shorten
from domain.dataset import AlignedRow, DatasetKind, StandardRow
from domain.errors import HextuneError, Place, Problem, fail, problem
from domain.masking import EncodedRow, TrainOn
from domain.media import MediaConversation
from domain.prompted import Prompted
from domain.run_spec import DataSection
from entrypoints.services.align_data import SHOWN_BAD_ROWS
from ports.encoder import ConversationEncoder, MediaEncoder


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """What a stage, a model and a spec ask of the rows."""

    stage: str
    """The stage's name, for messages."""
    eats: DatasetKind
    """The kind of rows it trains on."""
    context_tokens: int
    """The model's context."""
    packing: bool
    """Whether several rows stand in one sequence."""
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
    return joined(rows, encode_sequences(rows, encoder, data))


def encode_sequences(
    rows: Sequence[StandardRow], encoder: ConversationEncoder, data: DataSection
) -> Sequence[EncodedRow | HextuneError]:
    """One sequence for each row, of a preference two: the chosen and the rejected one.

    A prompt ends where its answer begins.

    Where answers are compared or judged, the answer alone is trained, whatever `train_on` says.
    """
    if not rows:
        return []
    kind = rows[0].kind
    if kind is DatasetKind.TEXT:
        return encoder.encode_texts([row.text for row in rows])
    if kind is DatasetKind.PROMPT:
        return _encode_prompts(rows, encoder, data)
    train_on = TrainOn(data.train_on) if kind is DatasetKind.CONVERSATION else TrainOn.LAST_TURN
    numbered = [(row, n) for row in rows for n in range(len(row.responses))]
    plain = [_reasoned(row.conversation(n), data) for row, n in numbered if not row.media]
    encoded = iter(encoder.encode_all(plain, train_on))
    shown = iter(_encode_media([row for row, _ in numbered if row.media], encoder, data, train_on))
    return [next(shown) if row.media else next(encoded) for row, _ in numbered]


def _encode_prompts(
    rows: Sequence[StandardRow], encoder: ConversationEncoder, data: DataSection
) -> Sequence[EncodedRow | HextuneError]:
    plain = [_reasoned(row.conversation(), data) for row in rows if not row.media]
    encoded = iter(encoder.encode_prompts(plain))
    refused = fail("data-media-stage", kind=DatasetKind.PROMPT.value)
    return [refused if row.media else next(encoded) for row in rows]


def _encode_media(
    rows: Sequence[StandardRow],
    encoder: ConversationEncoder,
    data: DataSection,
    train_on: TrainOn,
) -> Sequence[EncodedRow | HextuneError]:
    """Rows with media, by a multimodal model's encoder; other models do not see them."""
    if rows and rows[0].kind is not DatasetKind.CONVERSATION:
        return [fail("data-media-stage", kind=row.kind.value) for row in rows]
    if not isinstance(encoder, MediaEncoder):
        return [fail("data-media-unsupported", count=len(row.media)) for row in rows]
    shown = [
        MediaConversation(conversation=_reasoned(row.conversation(), data), files=row.media.files)
        for row in rows
    ]
    return encoder.encode_media(shown, train_on, data.media_loading)


def joined(
    rows: Sequence[StandardRow], sequences: Sequence[EncodedRow | HextuneError]
) -> list[EncodedRow | HextuneError]:
    """The sequences of each row as one encoded row, or the first error among them."""
    left = iter(sequences)
    found: list[EncodedRow | HextuneError] = []
    for row in rows:
        first = next(left)
        second = next(left) if len(row.responses) > 1 else None
        if isinstance(first, HextuneError) or isinstance(second, HextuneError):
            found.append(first if isinstance(first, HextuneError) else second)  # type: ignore[arg-type]
        else:
            prompt = row.kind is DatasetKind.PROMPT
            asked = Prompted(row.prompt, row.answer) if prompt else None
            found.append(replace(first, rejected=second, liked=row.liked, asked=asked))
    return found


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
        tokens, policy = found.longest, data.cut(row.row.kind)
        if tokens <= limit:
            kept.append((_placed(found, row), str(place)))
        elif policy == "error":
            problems.append(problem("data-row-too-long", place, tokens=tokens, limit=limit))
        else:
            pieces = shorten(found, limit, policy)
            kept += [(_placed(piece, row), str(place)) for piece in pieces]
            dropped = "dropped" if found.media is None else "dropped: rows with media are not cut"
            became = f"{policy}, {len(pieces)} kept" if pieces else dropped
            too_long.append(f"{row.file}:{row.line} {tokens} tokens, {became}")
    if problems:
        raise HextuneError(problems[:SHOWN_BAD_ROWS])
    return kept, too_long


def _placed(found: EncodedRow, row: AlignedRow) -> EncodedRow:
    """The encoded row, which knows where it came from."""
    return replace(found, place=f"{row.file}:{row.line}", source=row.source)
