"""A prompt that a model answers while it learns, as rewards see it."""

from dataclasses import dataclass

from domain.conversation import Message


@dataclass(frozen=True, slots=True)
class Prompted:
    """What was asked, and what an answer is compared with."""

    messages: tuple[Message, ...]
    """The turns up to the person's last one."""
    answer: str
    """The reference; empty for none."""
