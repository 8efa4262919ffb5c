"""Answers held to a JSON Schema, token by token, with llguidance.

A mask over the vocabulary says which tokens may come next; the end of the answer is among them only
where the JSON is whole.
"""

import json
from functools import cached_property
from typing import Any

from domain.errors import Place, fail
from domain.sampling import Grammar

ANY_OBJECT = json.dumps({"type": "object"})
COMPACT = {"whitespace_flexible": False}
"""White space between parts is fixed: a model could go on with it for ever."""


class Grammars:
    """Makes grammars for one tokenizer; its vocabulary is read once, which takes about a second."""

    def __init__(self, tokenizer: Any, ends: frozenset[int]) -> None:
        self._tokenizer = tokenizer
        self._ends = ends

    @cached_property
    def _vocabulary(self) -> Any:
        from llguidance.hf import from_tokenizer

        return from_tokenizer(self._tokenizer, eos_token=sorted(self._ends))

    def matcher(self, grammar: Grammar) -> "JsonMatcher":
        """What holds one answer. Raises HextuneError for a schema that cannot be held."""
        from llguidance import LLMatcher

        try:
            text = LLMatcher.grammar_from_json_schema(grammar.schema or ANY_OBJECT, COMPACT)
        except ValueError as error:
            raise _unfit(error, "response_format") from None
        return self._held(text, "response_format")

    def calls(self, lark: str) -> "JsonMatcher":
        """What holds an answer to calls of tools. Raises HextuneError for parameters that cannot be
        held."""
        from llguidance import LLMatcher

        return self._held(LLMatcher.grammar_from_lark(lark), "tools")

    def _held(self, text: str, field: str) -> "JsonMatcher":
        from llguidance import LLMatcher

        matcher = LLMatcher(self._vocabulary, text)
        if matcher.is_error():
            raise _unfit(matcher.get_error(), field)
        return JsonMatcher(matcher)


def _unfit(reason: object, field: str) -> Exception:
    first = str(reason).strip().splitlines()[0]
    return fail("request-bad-field", Place(field=field), field=field, reason=first)


class JsonMatcher:
    """Implements adapters.generation.drawing.TokenGrammar."""

    def __init__(self, matcher: Any) -> None:
        self._matcher = matcher

    def forbid(self, logits: Any) -> None:
        """Set what may not come to minus infinity, in place."""
        import torch

        allowed = torch.frombuffer(bytearray(self._matcher.compute_logit_bias()), dtype=torch.uint8)
        forbidden = (allowed[: len(logits)] == 0).to(logits.device)
        logits[: len(forbidden)].masked_fill_(forbidden, -torch.inf)
        logits[len(forbidden) :] = -torch.inf

    def take(self, token: int) -> None:
        """Go on after `token`."""
        self._matcher.consume_token(token)
