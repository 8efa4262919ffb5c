"""Alignment: a row of any described structure becomes a standard conversation, or says why not.

Pure functions; the structures are those of the LLaMA-Factory paper, Table 3 and section 4.2.
"""

import re
from collections.abc import Callable, Mapping, Sequence

from domain.conversation import Conversation, Message, Role
from domain.dataset import DataSource, RowFault

HALF_CHARACTER = re.compile("[\ud800-\udfff]")
"""Half of a surrogate pair: JSON escapes can write one alone, UTF-8 cannot."""


def detect_format(source: DataSource, columns: Sequence[str]) -> str | None:
    """The one format whose main columns are all in `columns`, or None where that is unclear."""
    fits = {
        "alpaca": {source.columns.prompt, source.columns.response} <= set(columns),
        "sharegpt": source.columns.messages in columns,
    }
    fitting = [name for name, fit in fits.items() if fit]
    return fitting[0] if len(fitting) == 1 else None


def align(values: Mapping[str, object], source: DataSource, format: str) -> Conversation | RowFault:
    """The conversation in a row laid out as `format`, or the column and reason of the fault."""
    return ALIGNERS[format](values, source)


def _align_alpaca(values: Mapping[str, object], source: DataSource) -> Conversation | RowFault:
    names = source.columns
    texts: dict[str, str] = {}
    for name in (names.system, names.prompt, names.query, names.response):
        value = values.get(name)
        fault = _text_fault(value)
        if value is not None and fault:
            return RowFault(field=name, reason=fault)
        texts[name] = str(value or "")
    if not texts[names.prompt].strip() and not texts[names.query].strip():
        return RowFault(field=names.prompt, reason="the instruction is empty")
    if not texts[names.response].strip():
        return RowFault(field=names.response, reason="the answer is empty")
    history = _history(values.get(names.history), names.history)
    if isinstance(history, RowFault):
        return history
    question = "\n".join(text for text in (texts[names.prompt], texts[names.query]) if text)
    system = [Message(Role.SYSTEM, texts[names.system])] if texts[names.system] else []
    last = [Message(Role.USER, question), Message(Role.ASSISTANT, texts[names.response])]
    return Conversation((*system, *history, *last))


def _history(value: object, name: str) -> list[Message] | RowFault:
    if value in (None, ""):  # an empty CSV cell is the latter
        return []
    if not isinstance(value, list):
        return RowFault(field=name, reason=f"it is {_kind(value)}, not a list of pairs")
    turns: list[Message] = []
    for number, pair in enumerate(value):
        if not (
            isinstance(pair, list)
            and len(pair) == 2
            and all(isinstance(t, str) and t.strip() for t in pair)
        ):
            return RowFault(field=f"{name}[{number}]", reason="it is not a [question, answer] pair")
        fault = _text_fault(pair[0]) or _text_fault(pair[1])
        if fault:
            return RowFault(field=f"{name}[{number}]", reason=fault)
        turns += [Message(Role.USER, pair[0]), Message(Role.ASSISTANT, pair[1])]
    return turns


def _align_sharegpt(values: Mapping[str, object], source: DataSource) -> Conversation | RowFault:
    column, tags = source.columns.messages, source.tags
    turns = values.get(column)
    if not isinstance(turns, list):
        return RowFault(field=column, reason=f"it is {_kind(turns)}, not a list of turns")
    roles = {tags.user: Role.USER, tags.assistant: Role.ASSISTANT, tags.system: Role.SYSTEM}
    messages: list[Message] = []
    for number, turn in enumerate(turns):
        place = f"{column}[{number}]"
        if not isinstance(turn, Mapping):
            return RowFault(field=place, reason=f"it is {_kind(turn)}, not a turn")
        role, content = turn.get(tags.role), turn.get(tags.content)
        if not isinstance(role, str) or role not in roles:
            known = ", ".join(roles)
            return RowFault(field=f"{place}.{tags.role}", reason=f"{role!r} is none of {known}")
        content_fault = _text_fault(content)
        if content_fault:
            return RowFault(field=f"{place}.{tags.content}", reason=content_fault)
        messages.append(Message(roles[role], str(content)))
    system = values.get(source.columns.system)
    system_fault = _text_fault(system)
    if system is not None and system_fault:
        return RowFault(field=source.columns.system, reason=system_fault)
    if system:
        if messages and messages[0].role is Role.SYSTEM:
            return RowFault(
                field=source.columns.system, reason="the first turn is a system turn too"
            )
        messages.insert(0, Message(Role.SYSTEM, str(system)))
    fault = _order_fault(messages, column)
    return fault or Conversation(tuple(messages))


def _order_fault(messages: Sequence[Message], column: str) -> RowFault | None:
    """User and assistant must take turns, end with a filled answer, and have one system turn."""
    turns = [m for m in messages if m.role is not Role.SYSTEM]
    if any(m.role is Role.SYSTEM for m in messages[1:]):
        return RowFault(field=column, reason="a system turn stands after the first turn")
    if not turns:
        return RowFault(field=column, reason="there are no turns")
    for number, message in enumerate(turns):
        wanted = Role.USER if number % 2 == 0 else Role.ASSISTANT
        if message.role is not wanted:
            return RowFault(
                field=column, reason=f"turn {number + 1} should be the {wanted.value}'s"
            )
        if not message.content.strip():
            return RowFault(field=column, reason=f"turn {number + 1} is empty")
    if turns[-1].role is not Role.ASSISTANT:
        return RowFault(field=column, reason="the last turn is not the assistant's")
    return None


def _text_fault(value: object) -> str | None:
    """Why `value` is no text that can be encoded, or None."""
    if not isinstance(value, str):
        return f"it is {_kind(value)}, not text"
    return "it holds half of a character" if HALF_CHARACTER.search(value) else None


def _kind(value: object) -> str:
    if value is None:
        return "missing"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "text", list: "a list"}
    return names.get(type(value), "a mapping" if isinstance(value, Mapping) else "something else")


ALIGNERS: Mapping[str, Callable[[Mapping[str, object], DataSource], Conversation | RowFault]] = {
    "alpaca": _align_alpaca,
    "sharegpt": _align_sharegpt,
}
