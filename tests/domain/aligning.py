"""Aligning one row in a test: what it becomes, or where and why it does not."""

from typing import Any

from domain.alignment import align
from domain.conversation import Message, Role
from domain.dataset import Columns, DatasetKind, DataSource, RowFault, StandardRow

TOOL: dict[str, Any] = {
    "name": "find",
    "description": "Finds.",
    "parameters": {"type": "object", "properties": {"what": {"type": "string"}}},
}
FRAMED: dict[str, Any] = {"type": "function", "function": TOOL}
CHAT = DatasetKind.CONVERSATION


def source(**changes: Any) -> DataSource:
    """A source of one file; keys of `Columns` may be given as `columns`, a mapping."""
    columns = Columns(**changes.pop("columns", {}))
    return DataSource(path="rows.jsonl", columns=columns, **changes)


def row(values: dict[str, Any], format: str, **changes: Any) -> StandardRow:
    """What the row becomes; fails where it has a fault."""
    found = align(values, source(**changes), format)
    assert isinstance(found, StandardRow), found
    return found


def fault(values: dict[str, Any], format: str, **changes: Any) -> tuple[str, str]:
    """(field, reason) of the row's fault; fails where it has none."""
    found = align(values, source(**changes), format)
    assert isinstance(found, RowFault), found
    return found.field, found.reason


def user(text: str) -> Message:
    return Message(Role.USER, text)


def assistant(text: str, **more: Any) -> Message:
    return Message(Role.ASSISTANT, text, **more)


def system(text: str) -> Message:
    return Message(Role.SYSTEM, text)


def tool(text: str) -> Message:
    return Message(Role.TOOL, text)
