"""Messages and conversations: what every chat dataset is aligned to.

The names follow OpenAI's chat format, which chat templates take: roles, tool calls with arguments
as objects, and tool results in turns of role `tool`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from domain.fingerprint import Json


class Role(StrEnum):
    """Who speaks; the values are the chat templates' own."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function the model wants called."""

    name: str
    """The function."""
    arguments: Mapping[str, Json]
    """Its arguments as an object, never as JSON text."""

    def as_json(self) -> dict[str, Any]:
        """The call as chat templates take it."""
        return {"type": "function", "function": {"name": self.name, "arguments": self.arguments}}


@dataclass(frozen=True, slots=True)
class Message:
    """One turn."""

    role: Role
    content: str
    """What is said; the result in a tool's turn."""
    tool_calls: tuple[ToolCall, ...] = ()
    """Functions an assistant's turn calls."""
    reasoning: str | None = None
    """What an assistant's turn thinks before it speaks."""
    trained: bool | None = None
    """Whether the row itself asks for this turn to be trained or not."""

    def as_json(self) -> dict[str, Any]:
        """The turn as chat templates and OpenAI's API write it."""
        turn: dict[str, Any] = {"role": self.role.value, "content": self.content}
        if self.tool_calls:
            turn["tool_calls"] = [call.as_json() for call in self.tool_calls]
        if self.reasoning is not None:
            turn["reasoning_content"] = self.reasoning
        return turn

    def as_row_json(self) -> dict[str, Any]:
        """The turn as a row of a data file writes it: whether it is trained belongs to it."""
        return self.as_json() | ({} if self.trained is None else {"train": self.trained})


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns in order, and the tools they may call."""

    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, Json], ...] = ()
    """Definitions of tools, as OpenAI's API writes them."""
    verbatim: bool = False
    """The contents are one text as they stand, special tokens too, and no template is applied."""

    def as_json(self) -> list[dict[str, Any]]:
        """The turns as chat templates take them, each tool result bound to its call.

        Ids are nine letters and digits, which Mistral's templates insist on.
        """
        turns = [message.as_json() for message in self.messages]
        waiting: list[tuple[str, str]] = []
        number = 0
        for turn in turns:
            for call in turn.get("tool_calls", ()):
                number += 1
                call["id"] = f"call{number:05d}"
                waiting.append((call["id"], call["function"]["name"]))
            if turn["role"] == Role.TOOL.value and waiting:
                turn["tool_call_id"], turn["name"] = waiting.pop(0)
        return turns

    def tools_as_json(self) -> list[dict[str, Any]] | None:
        """The tools as chat templates take them; None where there are none."""
        return [dict(tool) for tool in self.tools] or None
