"""A conversation: the standard structure every chat dataset is aligned to."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """Who speaks; the values are the chat templates' own."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True)
class Message:
    """One turn."""

    role: Role
    content: str

    def as_json(self) -> dict[str, str]:
        """The turn as chat templates and OpenAI's API write it."""
        return {"role": self.role.value, "content": self.content}


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns in order: at most one system turn first, then user and assistant in turn."""

    messages: tuple[Message, ...]

    def as_json(self) -> list[dict[str, str]]:
        """The turns as chat templates take them."""
        return [message.as_json() for message in self.messages]
