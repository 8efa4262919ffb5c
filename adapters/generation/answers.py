"""Tokens of one answer to pieces of text: characters, stop texts, thoughts, log-probabilities."""

from collections.abc import Generator, Iterable
from typing import Any

from adapters.detokenizing import Detokenizer, StopTexts
from adapters.generation.drawn import Drawn
from adapters.generation.reasoning import ReasoningSplit
from adapters.generation.tool_calls import CallSplit
from domain.sampling import FinishReason, TextDelta, TokenLogprob


class AnswerText:
    """Turns the tokens of one answer into deltas."""

    def __init__(
        self,
        tokenizer: Any,
        stop: tuple[str, ...],
        reasoning: ReasoningSplit | None,
        echoed: int = 0,
        calls: CallSplit | None = None,
        *,
        marks_shown: bool = False,
    ) -> None:
        self._tokenizer = tokenizer
        self._decoding = Detokenizer(tokenizer, skip_special_tokens=not marks_shown)
        self._calls = calls
        self._stops = StopTexts(stop)
        self._reasoning = reasoning
        self._echoing = echoed > 0
        self._read = echoed
        """Characters so far, those of an echoed prompt included."""
        self._given = echoed
        self._pending: list[TokenLogprob] = []

    @property
    def stopped(self) -> bool:
        """Whether a stop text was found, or the one call that was wanted."""
        return self._stops.found or (self._calls is not None and self._calls.over)

    def feed(self, drawn: Drawn) -> TextDelta | None:
        """The piece that this token completes, if any."""
        if drawn.logprob is not None:
            self._pending.append(self._told(drawn, self._read))
        text = self._decoding.feed(drawn.token)
        self._read += len(text)
        safe = self._stops.feed(text)
        delta = self._apart(TextDelta(text=safe, logprobs=self._ready(safe)))
        told = delta.text or delta.reasoning or delta.tool_calls or delta.logprobs
        return delta if told else None

    def end(self, drawn: Drawn) -> None:
        """Take the token that ends the answer: it has no text.

        Behind an echoed prompt it is told, as clients that read the prompt's log-probabilities
        leave out as many tokens at the end as they had drawn.
        """
        if self._echoing and drawn.logprob is not None:
            self._pending.append(self._told(drawn, self._read))

    def finish(self, reason: FinishReason, prompt_tokens: int, tokens: int) -> TextDelta:
        """The last piece."""
        rest = ""
        if not self.stopped:
            rest = self._stops.feed(self._decoding.finish())
            rest += self._stops.finish()
        return self._apart(
            TextDelta(
                text=rest,
                logprobs=self._ready(rest, everything=not self.stopped),
                finish_reason="stop" if self.stopped else reason,
                prompt_tokens=prompt_tokens,
                completion_tokens=tokens,
            )
        )

    def _apart(self, delta: TextDelta) -> TextDelta:
        told = delta if self._reasoning is None else self._reasoning.apart(delta)
        return told if self._calls is None else self._calls.apart(told)

    def _ready(self, text: str, *, everything: bool = False) -> tuple[TokenLogprob, ...]:
        """The tokens that begin in what is given out with `text`."""
        self._given += len(text)
        ready = [each for each in self._pending if everything or each.offset < self._given]
        self._pending = self._pending[len(ready) :]
        return tuple(ready)

    def _told(self, drawn: Drawn, offset: int) -> TokenLogprob:
        return told(self._tokenizer, drawn, offset)


def told(tokenizer: Any, drawn: Drawn, offset: int) -> TokenLogprob:
    """A token with its text; special tokens show."""
    return TokenLogprob(
        text=tokenizer.decode([drawn.token]),
        logprob=drawn.logprob,
        offset=offset,
        top=tuple((tokenizer.decode([token]), logprob) for token, logprob in drawn.top),
    )


def echoed(tokenizer: Any, text: str, scores: Iterable[Drawn]) -> TextDelta:
    """The prompt as the first piece, with the log-probabilities of its tokens."""
    decoding = Detokenizer(tokenizer, skip_special_tokens=False)
    offset, logprobs = 0, []
    for drawn in scores:
        logprobs.append(told(tokenizer, drawn, offset))
        offset += len(decoding.feed(drawn.token))
    return TextDelta(text=text, logprobs=tuple(logprobs))


def pieces(
    tokens: Iterable[Drawn], answer: AnswerText, ends: frozenset[int], prompt_tokens: int
) -> Generator[TextDelta]:
    """The deltas of an answer."""
    count, ended = 0, False
    for drawn in tokens:
        count += 1
        ended = drawn.token in ends
        if ended:
            answer.end(drawn)
            break
        delta = answer.feed(drawn)
        if delta is not None:
            yield delta
        if answer.stopped:
            break
    yield answer.finish("stop" if ended else "length", prompt_tokens, count)
