"""Replies as OpenAI's API describes them: models, completions and chunks of completions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from domain.sampling import FinishReason, ServedModel, TextDelta

Reply = Mapping[str, object]


def model_reply(model: ServedModel) -> Reply:
    """A served model; `parent` is the base that an adapter changes."""
    return {
        "id": model.name,
        "object": "model",
        "created": int(model.created_at),
        "owned_by": "hextune",
        "parent": None if model.adapter is None else model.base,
    }


@dataclass(slots=True, kw_only=True)
class Usage:
    """Tokens of a request: its prompt once, its answers together."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    def add(self, delta: TextDelta) -> None:
        """Count an answer by its last piece; other pieces carry no numbers."""
        self.prompt_tokens = max(self.prompt_tokens, delta.prompt_tokens)
        self.completion_tokens += delta.completion_tokens

    def reply(self) -> Reply:
        """The numbers with their sum."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """What every part of one reply repeats."""

    id: str
    created: int
    model: str

    def completion(self, choices: Sequence["Choice"], usage: Usage) -> Reply:
        """A whole reply."""
        return {
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": [choice.reply(index) for index, choice in enumerate(choices)],
            "usage": usage.reply(),
        }

    def chunk(self, choices: Sequence[Reply], **usage: Reply | None) -> Reply:
        """A piece of a streamed reply; `usage` stands in it only where it was asked for."""
        return {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
            **usage,
        }


@dataclass(slots=True)
class Choice:
    """One answer, gathered piece by piece."""

    texts: list[str] = field(default_factory=list)
    finish_reason: FinishReason | None = None

    def add(self, delta: TextDelta) -> None:
        """Take the next piece."""
        self.texts.append(delta.text)
        self.finish_reason = delta.finish_reason

    def reply(self, index: int) -> Reply:
        """The whole answer."""
        return {
            "index": index,
            "message": {"role": "assistant", "content": "".join(self.texts), "refusal": None},
            "logprobs": None,
            "finish_reason": self.finish_reason,
        }


def chunk_choice(index: int, delta: Reply, finish_reason: FinishReason | None = None) -> Reply:
    """A choice inside a chunk."""
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
