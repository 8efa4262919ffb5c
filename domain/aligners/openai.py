"""OpenAI messages: role and content, content parts, tool_calls, tool results, per-turn flags.

A turn may carry `train` (true or false) or a `loss_weight` of 0 or 1, which say whether it is
trained, and `reasoning_content` or a content part of type reasoning.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from domain.aligners.fields import (
    FaultError,
    Values,
    calls_of,
    check_media,
    check_turns,
    checked_text,
    faults_returned,
    kind_of,
    list_of,
    media_of,
    text_of,
    tools_of,
    trained_of,
    with_system,
)
from domain.aligners.responses import finish
from domain.conversation import Message, Role, ToolCall
from domain.dataset import DataSource, Media, StandardRow

COLUMN = "messages"
ROLES = {role.value: role for role in Role} | {"developer": Role.SYSTEM, "function": Role.TOOL}
PARTS = {"image_url": "image", "image": "image", "video": "video", "video_url": "video",
         "audio": "audio", "audio_url": "audio", "input_audio": "audio"}  # fmt: skip


@faults_returned
def align(values: Values, source: DataSource) -> StandardRow:
    """The messages of a row; in a ranking, the prompt with its two answers."""
    names = source.columns
    column = names.messages or COLUMN
    parts = MediaParts()
    if source.ranking and (column not in values or is_whole(values.get(names.chosen))):
        return pair_of_conversations(values, source)
    messages = read_messages(values, column, parts)
    messages = with_system(values, source, messages)
    if source.ranking:
        answers = [_answer(values, name, parts) for name in (names.chosen, names.rejected)]
    else:
        if not messages:
            raise FaultError(column, "there are no turns")
        messages, answers = split_answer(messages, source)
    return finished(values, source, messages, answers, parts, column)


def split_answer(
    messages: list[Message], source: DataSource
) -> tuple[list[Message], list[Message]]:
    """(the turns before the answer, the answer); prompts need not have one."""
    if source.prompts and messages[-1].role is not Role.ASSISTANT:
        return messages, []
    return messages[:-1], messages[-1:]


def is_whole(answer: object) -> bool:
    """Whether an answer of a ranking is a conversation with its prompt: others ask first.

    Columns beside such answers then repeat what stands in them.
    """
    opening = answer[0] if isinstance(answer, list) and answer else None
    return isinstance(opening, Mapping) and opening.get("role") != Role.ASSISTANT.value


def pair_of_conversations(values: Values, source: DataSource) -> StandardRow:
    """Two whole conversations that differ in their last turn only."""
    names = source.columns
    parts = MediaParts()
    chosen = read_messages(values, names.chosen, parts)
    other_parts = MediaParts()
    rejected = read_messages(values, names.rejected, other_parts)
    if not chosen or chosen[:-1] != rejected[:-1] or parts != other_parts:
        raise FaultError(names.rejected, "it differs from the chosen one before the last turn")
    prompt = with_system(values, source, chosen[:-1])
    return finished(values, source, prompt, [chosen[-1], rejected[-1]], parts, names.chosen)


def finished(
    values: Values,
    source: DataSource,
    prompt: list[Message],
    answers: list[Message],
    parts: "MediaParts",
    column: str,
) -> StandardRow:
    """The row of a prompt and its answers; faults in the order of turns are `column`'s."""
    for answer in answers:
        check_turns([*prompt, answer], column)
    if not answers:
        check_turns(prompt, column, ends_with_answer=False)
    media = all_media(values, source, parts)
    check_media([*prompt, *answers[:1]], media)
    return finish(values, source, prompt, answers, tools_of(values, source), media)


@dataclass(slots=True)
class MediaParts:
    """Media found inside content parts, in order."""

    paths: dict[str, list[str]] = field(
        default_factory=lambda: {"image": [], "video": [], "audio": []}
    )

    def media(self) -> Media:
        """All that was found."""
        return Media(
            images=tuple(self.paths["image"]),
            videos=tuple(self.paths["video"]),
            audios=tuple(self.paths["audio"]),
        )


def all_media(values: Values, source: DataSource, parts: MediaParts) -> Media:
    """Media of content parts, or of their own columns where the parts only say where they stand."""
    inside, beside = parts.media(), media_of(values, source)
    if inside and beside:
        place = source.columns.messages or COLUMN
        raise FaultError(place, "media stand in content parts and in columns too")
    return inside or beside


def read_messages(values: Values, column: str, parts: MediaParts) -> list[Message]:
    """The messages of a column; media found in them go to `parts`."""
    turns = list_of(values, column, "messages")
    return [_turn(turn, f"{column}[{number}]", parts) for number, turn in enumerate(turns)]


def _answer(values: Values, column: str, parts: MediaParts) -> Message:
    value = values.get(column)
    if isinstance(value, str):
        return Message(Role.ASSISTANT, checked_text(value, column))
    if isinstance(value, list):
        if len(value) != 1:
            raise FaultError(column, f"it has {len(value)} turns, not one")
        value = value[0]
    return _turn(value, column, parts)


def _turn(turn: object, place: str, parts: MediaParts) -> Message:
    if not isinstance(turn, Mapping):
        raise FaultError(place, f"it is {kind_of(turn)}, not a message")
    role = ROLES.get(str(turn.get("role")))
    if role is None:
        raise FaultError(f"{place}.role", f"{turn.get('role')!r} is none of {', '.join(ROLES)}")
    content, reasoning, calls = _content(turn, place, parts)
    if turn.get("tool_calls"):
        calls += calls_of(turn["tool_calls"], f"{place}.tool_calls")
    if calls and role is not Role.ASSISTANT:
        raise FaultError(f"{place}.tool_calls", "only the assistant calls tools")
    thought = text_of(turn, "reasoning_content", place=f"{place}.reasoning_content")
    if thought and reasoning:
        raise FaultError(f"{place}.reasoning_content", "the content holds reasoning too")
    reasoning = thought or reasoning
    return Message(role, content, calls, reasoning or None, trained_of(turn, place, role))


def _content(
    turn: Mapping[str, object], place: str, parts: MediaParts
) -> tuple[str, str, tuple[ToolCall, ...]]:
    """(text with a placeholder for each medium, reasoning, tool calls written as parts)."""
    value = turn.get("content")
    if not isinstance(value, list):
        return text_of(turn, "content", place=f"{place}.content"), "", ()
    texts, thoughts = [], []
    calls: tuple[ToolCall, ...] = ()
    for number, part in enumerate(value):
        inside = f"{place}.content[{number}]"
        if not isinstance(part, Mapping):
            raise FaultError(inside, f"it is {kind_of(part)}, not a content part")
        kind = part.get("type")
        if kind == "text":
            key = "value" if part.get("text") is None else "text"
            texts.append(text_of(part, key, place=inside))
        elif kind == "reasoning":
            thoughts.append(text_of(part, "value", place=inside))
        elif kind == "tool_call":
            calls += calls_of(part.get("value"), inside)
        elif isinstance(kind, str) and kind in PARTS:
            parts.paths[PARTS[kind]] += _address(part, inside)
            texts.append(f"<{PARTS[kind]}>")
        else:
            raise FaultError(f"{inside}.type", f"{kind!r} is no part that can be trained on")
    return "".join(texts), "".join(thoughts), calls


def _address(part: Mapping[str, object], place: str) -> list[str]:
    """The path of a medium, however the part writes it; none where a column holds it."""
    for key in ("value", "image_url", "image", "video_url", "video", "audio_url", "audio", "path"):
        value = part.get(key)
        if value is None:
            continue
        path = value.get("url", value.get("path")) if isinstance(value, Mapping) else value
        if not isinstance(path, str) or not path:
            raise FaultError(place, "there is no path in it")
        return [checked_text(path, place)]
    return []
