"""Log-probabilities as vLLM's completions tell them by token id, to tokens with their texts.

Asked for texts, vLLM tells one number for all tokens of the same text, as pieces of a character
are; and it counts places in the texts of single tokens, not in the answer.
"""

from collections.abc import Mapping
from typing import Any

from adapters.detokenizing import Detokenizer
from adapters.generation.answers import told
from adapters.generation.drawn import Drawn
from domain.sampling import TextDelta, TokenLogprob

ASKED = {"return_tokens_as_token_ids": True}
"""The field that has ids told."""
PREFIX = "token_id:"


class LogprobReader:
    """Reads the pieces of one answer, whose first `echoed` tokens are the prompt's."""

    def __init__(self, tokenizer: Any, ends: frozenset[int], count: int, echoed: int) -> None:
        self._tokenizer = tokenizer
        self._ends: frozenset[int] = frozenset() if echoed else ends
        self._count = count
        self._echoed = echoed
        self._shown = Detokenizer(tokenizer, skip_special_tokens=False)
        self._decoding = Detokenizer(tokenizer)
        self._offset = 0

    def read(self, choice: Mapping[str, Any]) -> TextDelta:
        """A piece; the token that ends an answer is told only behind an echoed prompt."""
        found = choice.get("logprobs") or {}
        names = ("tokens", "token_logprobs", "top_logprobs")
        rows = list(zip(*(found.get(name) or () for name in names), strict=True))
        if choice.get("finish_reason") == "stop" and rows and _id(rows[-1][0]) in self._ends:
            rows.pop()
        return TextDelta(text=choice["text"], logprobs=tuple(self._told(*row) for row in rows))

    def _told(self, name: str, logprob: float | None, top: Mapping[str, float]) -> TokenLogprob:
        best = sorted((top or {}).items(), key=lambda pair: -pair[1])[: self._count]
        drawn = Drawn(_id(name), logprob, tuple((_id(each), value) for each, value in best))
        shown = told(self._tokenizer, drawn, self._offset)
        decoding = self._shown if self._echoed > 0 else self._decoding
        self._echoed -= 1
        self._offset += len(decoding.feed(drawn.token))
        return shown


def _id(name: str) -> int:
    return int(name.removeprefix(PREFIX))
