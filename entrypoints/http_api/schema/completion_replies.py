"""Replies to completion requests as OpenAI's API describes them, whole and in chunks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from domain.sampling import FinishReason, TextDelta, TokenLogprob
from entrypoints.http_api.schema.replies import Reply, Usage


@dataclass(slots=True, kw_only=True)
class Completions:
    """The answers of one reply, gathered piece by piece."""

    id: str
    created: int
    model: str
    choices: int
    """Choices of each prompt."""
    include_usage: bool
    """Whether a stream ends with the tokens used."""
    told: bool
    """Whether log-probabilities were asked for."""
    usage: Usage = field(default_factory=Usage)
    answers: dict[int, "Answer"] = field(default_factory=dict)

    def add(self, index: int, delta: TextDelta) -> None:
        """Take the next piece of answer `index`."""
        self.usage.add(delta, index // self.choices)
        self.answers.setdefault(index, Answer()).add(delta)

    def reply(self) -> Reply:
        """The whole reply."""
        shown = [
            choice(index, "".join(answer.texts), answer.finish_reason, self._shown(answer.logprobs))
            for index, answer in sorted(self.answers.items())
        ]
        return {**self._heading(shown), "usage": self.usage.reply()}

    def of(self, index: int, delta: TextDelta) -> Iterator[Reply]:
        """The chunk of one piece; a piece that says nothing gives none."""
        self.usage.add(delta, index // self.choices)
        if delta.text or delta.logprobs or delta.finish_reason:
            shown = choice(index, delta.text, delta.finish_reason, self._shown(delta.logprobs))
            yield self._heading([shown]) | ({"usage": None} if self.include_usage else {})

    def last(self) -> Iterator[Reply]:
        """The chunk of numbers, where it was asked for."""
        if self.include_usage:
            yield {**self._heading([]), "usage": self.usage.reply()}

    def _heading(self, choices: Sequence[Reply]) -> dict[str, object]:
        return {
            "id": self.id,
            "object": "text_completion",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        }

    def _shown(self, logprobs: Sequence[TokenLogprob]) -> Reply | None:
        return completion_logprobs(logprobs) if self.told else None


@dataclass(slots=True)
class Answer:
    """One answer, gathered piece by piece."""

    texts: list[str] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    finish_reason: FinishReason | None = None

    def add(self, delta: TextDelta) -> None:
        """Take the next piece."""
        self.texts.append(delta.text)
        self.logprobs += delta.logprobs
        self.finish_reason = delta.finish_reason


def choice(
    index: int, text: str, finish_reason: FinishReason | None, logprobs: Reply | None
) -> Reply:
    """One answer, or a piece of it."""
    return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish_reason}


def completion_logprobs(tokens: Sequence[TokenLogprob]) -> Reply:
    """Tokens with their log-probabilities; the token itself is always among the likeliest."""
    return {
        "tokens": [each.text for each in tokens],
        "token_logprobs": [each.logprob for each in tokens],
        "top_logprobs": [likeliest(each) for each in tokens],
        "text_offset": [each.offset for each in tokens],
    }


def likeliest(token: TokenLogprob) -> Reply | None:
    """Log-probability by text; of two tokens that read the same, the likelier one stays."""
    if token.logprob is None:
        return None
    return {token.text: token.logprob} | dict(reversed(token.top))
