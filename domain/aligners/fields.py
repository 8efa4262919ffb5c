"""Reading columns: typed values, or the fault that says what is wrong with them."""

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from domain.conversation import Message, Role, ToolCall
from domain.dataset import DataSource, Media, RowFault
from domain.fingerprint import Json

T = TypeVar("T")
NAMES = {bool: "a boolean", int: "a number", float: "a number", str: "text", list: "a list"}
Values = Mapping[str, object]

HALF_CHARACTER = re.compile("[\ud800-\udfff]")
"""Half of a surrogate pair: JSON escapes can write one alone, UTF-8 cannot."""
DEEPEST = 100
"""Levels of nesting in tool definitions and arguments."""


class FaultError(Exception):
    """Carries a fault out of nested reading; aligners turn it into their result."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.fault = RowFault(field=field, reason=reason)


def faults_returned(
    read: Callable[[Values, DataSource], T],
) -> Callable[[Values, DataSource], T | RowFault]:
    """`read` as a function that returns a fault instead of raising it."""

    def align(values: Values, source: DataSource) -> T | RowFault:
        try:
            return read(values, source)
        except FaultError as error:
            return error.fault

    return align


def kind_of(value: object) -> str:
    """What a value is, in words."""
    if value is None:
        return "missing"
    return NAMES.get(type(value), "a mapping" if isinstance(value, Mapping) else "something else")


def text_of(values: Values, column: str, *, place: str | None = None) -> str:
    """Text of a column; empty where it is missing."""
    value = values.get(column)
    return "" if value is None else checked_text(value, place or column)


def checked_text(value: object, place: str) -> str:
    """`value` as text that tokenizers and files can hold."""
    if not isinstance(value, str):
        raise FaultError(place, f"it is {kind_of(value)}, not text")
    if "\x00" in value:
        raise FaultError(place, "it holds a NUL byte")
    if HALF_CHARACTER.search(value):
        raise FaultError(place, "it holds half of a character")
    return value


def list_of(values: Values, column: str, what: str) -> list[Any]:
    """The list of a column. Raises FaultError where it is anything else."""
    value = values.get(column)
    if not isinstance(value, list):
        raise FaultError(column, f"it is {kind_of(value)}, not a list of {what}")
    return value


def tools_of(values: Values, source: DataSource) -> tuple[Mapping[str, Json], ...]:
    """Tool definitions: a list, or JSON text of one; bare functions are put in OpenAI's frame."""
    column = source.columns.tools
    value = values.get(column)
    if value is None or value in ("", []):
        return ()
    if isinstance(value, str):
        value = json_text(value, column)
    if not isinstance(value, list) or not all(isinstance(tool, Mapping) for tool in value):
        raise FaultError(column, "it is not a list of tool definitions")
    return tuple(_framed(tool, f"{column}[{number}]") for number, tool in enumerate(value))


def _framed(tool: Mapping[str, Any], place: str) -> Mapping[str, Json]:
    function = tool.get("function", tool) if tool.get("type") == "function" else tool
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise FaultError(place, "the tool has no name")
    return {"type": "function", "function": _plain(function, place)}


def calls_of(value: object, place: str) -> tuple[ToolCall, ...]:
    """Tool calls: objects with name and arguments, or JSON text of one or several."""
    if isinstance(value, str):
        value = json_text(value, place)
    calls = value if isinstance(value, list) else [value]
    if not calls:
        raise FaultError(place, "there is no tool call in it")
    return tuple(_call(call, place) for call in calls)


def _call(call: object, place: str) -> ToolCall:
    inner = call.get("function", call) if isinstance(call, Mapping) else None
    if not isinstance(inner, Mapping) or not isinstance(inner.get("name"), str):
        raise FaultError(place, "a tool call has no name")
    arguments = inner.get("arguments", inner.get("parameters", {}))
    # Some clients send the object as text, and some data holds the text encoded twice.
    while isinstance(arguments, str):
        arguments = json_text(arguments or "{}", f"{place}.arguments")
    if not isinstance(arguments, Mapping):
        raise FaultError(f"{place}.arguments", f"they are {kind_of(arguments)}, not an object")
    name = checked_text(inner["name"], f"{place}.name")
    return ToolCall(name, _plain(arguments, f"{place}.arguments"))


def json_text(text: str, place: str) -> Any:
    """The value of JSON text."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise FaultError(place, f"it is not JSON: {error.msg} at column {error.colno}") from None
    except (ValueError, RecursionError) as error:  # a number of 5000 digits, 1000 brackets
        raise FaultError(place, f"it is not JSON we can read: {error}") from None


def _plain(value: Any, place: str, depth: int = 0) -> Any:
    """A copy of `value` where all of it is JSON with text that can be encoded."""
    if depth > DEEPEST:
        raise FaultError(place, f"it is nested more than {DEEPEST} deep")
    if isinstance(value, str):
        return checked_text(value, place)
    if isinstance(value, Mapping):
        items = value.items()
        return {checked_text(k, place): _plain(inner, place, depth + 1) for k, inner in items}
    if isinstance(value, list):
        return [_plain(inner, place, depth + 1) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise FaultError(place, f"it holds {value}, which is no number of JSON")
    if value is not None and not isinstance(value, bool | int | float):
        raise FaultError(place, f"it holds a {type(value).__name__}, which is not JSON")
    return value


def trained_of(turn: Mapping[str, object], place: str, role: Role) -> bool | None:
    """Whether a turn of a list says itself that it is trained or not."""
    asked = turn.get("train")
    if asked is not None:
        if not isinstance(asked, bool):
            raise FaultError(f"{place}.train", "it is not true or false")
        return asked
    weight = turn.get("loss_weight", turn.get("weight"))
    if weight is None:
        return None
    if weight not in (0, 1):
        raise FaultError(f"{place}.loss_weight", "it is neither 0 nor 1")
    return bool(weight) if role is Role.ASSISTANT else None


def media_of(values: Values, source: DataSource) -> Media:
    """Paths of a row's images, videos and audio files."""
    names = source.columns
    return Media(
        images=_paths(values, names.images),
        videos=_paths(values, names.videos),
        audios=_paths(values, names.audios),
    )


def _paths(values: Values, column: str) -> tuple[str, ...]:
    value = values.get(column)
    if value is None or value == "":
        return ()
    paths = [value] if isinstance(value, str) else value
    if not isinstance(paths, list) or not all(isinstance(path, str) and path for path in paths):
        raise FaultError(column, "it is not a list of paths")
    return tuple(checked_text(path, column) for path in paths)


def with_system(values: Values, source: DataSource, messages: list[Message]) -> list[Message]:
    """`messages` after the system prompt of its own column, where there is one."""
    system = text_of(values, source.columns.system)
    if not system:
        return messages
    if messages and messages[0].role is Role.SYSTEM:
        raise FaultError(source.columns.system, "the first turn is a system turn too")
    return [Message(Role.SYSTEM, system), *messages]


def check_media(messages: list[Message], media: Media) -> None:
    """As many placeholders in the text as there are files; none where no placeholder is used."""
    text = "".join(message.content for message in messages)
    for kind, paths in (("image", media.images), ("video", media.videos), ("audio", media.audios)):
        found = text.count(f"<{kind}>")
        if found and found != len(paths):
            raise FaultError(
                f"{kind}s", f"the text has {found} <{kind}> and there are {len(paths)} files"
            )


def check_turns(messages: list[Message], column: str, *, ends_with_answer: bool = True) -> None:
    """The order every chat template can render: user and tools ask, the assistant answers.

    One system turn at most, and first; tool results follow a tool call; no empty turns.
    """
    if any(message.role is Role.SYSTEM for message in messages[1:]):
        raise FaultError(column, "a system turn stands after the first turn")
    turns = [message for message in messages if message.role is not Role.SYSTEM]
    if not turns:
        raise FaultError(column, "there are no turns")
    before: Message | None = None
    for number, message in enumerate(turns, 1):
        _check_turn(number, message, before, column)
        before = message
    if ends_with_answer and turns[-1].role is not Role.ASSISTANT:
        raise FaultError(column, "the last turn is not the assistant's")
    if not ends_with_answer and turns[-1].role is Role.ASSISTANT:
        raise FaultError(column, "the prompt ends with an assistant's turn")


def _check_turn(number: int, message: Message, before: Message | None, column: str) -> None:
    called = before is not None and bool(before.tool_calls)
    follows = {
        Role.USER: before is None or (before.role is Role.ASSISTANT and not called),
        Role.ASSISTANT: before is not None and before.role is not Role.ASSISTANT,
        Role.TOOL: called or (before is not None and before.role is Role.TOOL),
    }
    if not follows[message.role]:
        after = f"after the {before.role.value}'s" if before else "at the beginning"
        raise FaultError(column, f"turn {number}, the {message.role.value}'s, cannot stand {after}")
    if not (message.content.strip() or message.tool_calls) and message.role is not Role.TOOL:
        raise FaultError(column, f"turn {number} is empty")
