"""Replies as OpenAI's API describes them: models, chat completions and chunks of them."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from domain.sampling import FinishReason, ServedModel, TextDelta, TokenLogprob
from domain.tool_use import CallPiece

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


@dataclass(slots=True)
class Usage:
    """Tokens of a request: each prompt once, its answers together."""

    prompts: dict[int, int] = field(default_factory=dict)
    completion_tokens: int = 0

    @property
    def prompt_tokens(self) -> int:
        """Tokens of all prompts."""
        return sum(self.prompts.values())

    def add(self, delta: TextDelta, prompt: int = 0) -> None:
        """Count an answer to a prompt by its last piece; other pieces carry no numbers."""
        self.prompts[prompt] = max(self.prompts.get(prompt, 0), delta.prompt_tokens)
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

    def completion(
        self, choices: Sequence["Choice"], usage: Usage, logprobs: bool = False
    ) -> Reply:
        """A whole reply."""
        return {
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": [choice.reply(index, logprobs) for index, choice in enumerate(choices)],
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
class Called:
    """A call of a tool, gathered piece by piece."""

    id: str = field(default_factory=lambda: f"call_{uuid.uuid4().hex[:24]}")
    name: str = ""
    arguments: str = ""

    def reply(self) -> Reply:
        """The whole call."""
        function = {"name": self.name, "arguments": self.arguments}
        return {"id": self.id, "type": "function", "function": function}


@dataclass(slots=True)
class Calls:
    """Calls of one answer by their index."""

    made: dict[int, Called] = field(default_factory=dict)

    def add(self, pieces: Sequence[CallPiece]) -> None:
        """Take the next pieces."""
        for piece in pieces:
            call = self.made.setdefault(piece.index, Called())
            call.name += piece.name
            call.arguments += piece.arguments

    def deltas(self, pieces: Sequence[CallPiece]) -> Iterator[Reply]:
        """The pieces as a stream tells them: who is called first, then the arguments."""
        for piece in pieces:
            if piece.index not in self.made:
                call = self.made.setdefault(piece.index, Called(name=piece.name))
                yield {"index": piece.index, **call.reply()}
            if piece.arguments:
                yield {"index": piece.index, "function": {"arguments": piece.arguments}}


@dataclass(slots=True)
class Choice:
    """One answer, gathered piece by piece."""

    texts: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    calls: Calls = field(default_factory=Calls)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    finish_reason: FinishReason | None = None

    def add(self, delta: TextDelta) -> None:
        """Take the next piece."""
        self.texts.append(delta.text)
        self.reasoning.append(delta.reasoning)
        self.calls.add(delta.tool_calls)
        self.logprobs += delta.logprobs
        self.finish_reason = delta.finish_reason

    def reply(self, index: int, logprobs: bool = False) -> Reply:
        """The whole answer."""
        text, calls = "".join(self.texts), [call.reply() for call in self.calls.made.values()]
        said: dict[str, object] = {"role": "assistant", "content": text, "refusal": None}
        if calls:
            said |= {"content": text or None, "tool_calls": calls}
        return {
            "index": index,
            "message": said | thought("".join(self.reasoning)),
            "logprobs": chat_logprobs(self.logprobs) if logprobs else None,
            "finish_reason": self.finish_reason,
        }


def thought(text: str) -> dict[str, object]:
    """What a model thought, under both names that clients look for; nothing where it did not."""
    return {"reasoning": text, "reasoning_content": text} if text else {}


def chat_logprobs(tokens: Sequence[TokenLogprob]) -> Reply:
    """Tokens of an answer with their log-probabilities."""
    return {
        "content": [
            {
                **shown_token(each.text, each.logprob),
                "top_logprobs": [shown_token(*likely) for likely in each.top],
            }
            for each in tokens
        ],
        "refusal": None,
    }


def shown_token(text: str, logprob: float | None) -> dict[str, object]:
    """A token; bytes that are no whole character are not known here."""
    whole = "\ufffd" not in text
    return {"token": text, "logprob": logprob, "bytes": list(text.encode()) if whole else None}


def chunk_choice(
    index: int,
    delta: Reply,
    finish_reason: FinishReason | None = None,
    logprobs: Sequence[TokenLogprob] = (),
) -> Reply:
    """A choice inside a chunk."""
    told = chat_logprobs(logprobs) if logprobs else None
    return {"index": index, "delta": delta, "logprobs": told, "finish_reason": finish_reason}


@dataclass(slots=True, kw_only=True)
class Chunks:
    """Turns pieces of answers into chunks of one reply."""

    heading: Heading
    include_usage: bool
    usage: Usage = field(default_factory=Usage)
    begun: set[int] = field(default_factory=set)
    calls: dict[int, Calls] = field(default_factory=dict)

    def of(self, index: int, delta: TextDelta) -> Iterator[Reply]:
        """The chunks of one piece: who speaks before the first, why it ends after the last."""
        self.usage.add(delta)
        if index not in self.begun:
            self.begun.add(index)
            yield self._chunk(chunk_choice(index, {"role": "assistant", "content": ""}))
        said: dict[str, object] = thought(delta.reasoning)
        said |= {"content": delta.text} if delta.text else {}
        if said or delta.logprobs:
            yield self._chunk(chunk_choice(index, said, logprobs=delta.logprobs))
        for piece in self.calls.setdefault(index, Calls()).deltas(delta.tool_calls):
            yield self._chunk(chunk_choice(index, {"tool_calls": [piece]}))
        if delta.finish_reason:
            yield self._chunk(chunk_choice(index, {}, delta.finish_reason))

    def last(self) -> Iterator[Reply]:
        """The chunk of numbers, where it was asked for."""
        if self.include_usage:
            yield self.heading.chunk([], usage=self.usage.reply())

    def _chunk(self, choice: Reply) -> Reply:
        if self.include_usage:
            return self.heading.chunk([choice], usage=None)
        return self.heading.chunk([choice])
