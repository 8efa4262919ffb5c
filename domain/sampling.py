"""What a generation asks for and gives back; the names follow OpenAI's API."""

from dataclasses import dataclass
from typing import Literal

from domain.conversation import Conversation
from domain.tool_use import FREELY, CallPiece, ToolUse

FinishReason = Literal["stop", "length", "tool_calls"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grammar:
    """What an answer must read as, held token by token."""

    schema: str | None = None
    """A JSON Schema as JSON text; None allows any JSON object."""


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
    frequency_penalty: float = 0.0
    """Taken off a token's logit for each time it stands in the answer."""
    presence_penalty: float = 0.0
    """Taken off a token's logit once it stands in the answer."""
    logit_bias: tuple[tuple[int, float], ...] = ()
    """What is added to the logits of tokens."""
    logprobs: int | None = None
    """How many of the likeliest tokens are told beside each one; None tells no probabilities."""
    grammar: Grammar | None = None
    """What the answer must read as."""


NOTHING_SAID = Conversation(())


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """One answer asked of one model: to a conversation, or to a text as it stands."""

    model: str
    """A name out of the engine's served models."""
    conversation: Conversation = NOTHING_SAID
    """What was said so far; the last turn is the person's."""
    prompt: str | tuple[int, ...] | None = None
    """Text or token ids to go on from, without a template; takes the conversation's place."""
    echo: bool = False
    """Whether the answer begins with the prompt and, where asked, its log-probabilities."""
    sampling: Sampling = Sampling()
    """How to draw tokens."""
    tool_use: ToolUse = FREELY
    """How the conversation's tools are to be used; means nothing where there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLogprob:
    """A token with its log-probability under the model, before penalties and temperature."""

    text: str
    """Its text on its own; bytes that are no whole character show as U+FFFD."""
    logprob: float | None
    """In nats; None for the first token of a prompt."""
    offset: int = 0
    """Characters of the answer, and of the prompt where it is echoed, before this token."""
    top: tuple[tuple[str, float], ...] = ()
    """(text, log-probability) of the likeliest tokens in its place, best first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta:
    """A piece of an answer; the last one says why it ends."""

    text: str
    """New text; pieces join to the whole answer."""
    reasoning: str = ""
    """New text of what the model thinks before it answers; never part of `text`."""
    tool_calls: tuple[CallPiece, ...] = ()
    """New pieces of calls; never part of `text`."""
    logprobs: tuple[TokenLogprob, ...] = ()
    """The tokens of this piece, where the request asked for them."""
    finish_reason: FinishReason | None = None
    """stop, length or tool_calls on the last piece."""
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
