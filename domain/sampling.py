"""What a generation asks for and gives back; the names follow OpenAI's API."""

from dataclasses import dataclass
from typing import Literal

from domain.conversation import Conversation

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How the next token is drawn."""

    temperature: float = 1.0
    """0 takes the likeliest token; higher is more varied."""
    top_p: float = 1.0
    """Draw from the smallest set of tokens with this share of the probability."""
    max_tokens: int | None = None
    """Longest answer in tokens; as far as the context reaches where not set."""
    stop: tuple[str, ...] = ()
    """Texts that end the answer; they are not part of it."""
    seed: int | None = None
    """The same seed, prompt and model give the same answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """One answer asked of one model."""

    model: str
    """A name out of the engine's served models."""
    conversation: Conversation
    """What was said so far; the last turn is the person's."""
    sampling: Sampling = Sampling()
    """How to draw tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta:
    """A piece of an answer; the last one says why it ends."""

    text: str
    """New text; pieces join to the whole answer."""
    finish_reason: FinishReason | None = None
    """stop or length on the last piece."""
    prompt_tokens: int = 0
    """Tokens of the prompt, on the last piece."""
    completion_tokens: int = 0
    """Tokens of the answer, on the last piece."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """A model an engine answers as."""

    name: str
    """What a request names."""
    base: str
    """The model underneath."""
    adapter: str | None
    """Folder of the adapter that is switched on, or None for the base itself."""
    created_at: float
    """When it was made, in seconds since the epoch."""
