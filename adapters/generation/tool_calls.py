"""Tool calls of one answer, apart from its text, and the grammar that has them written.

A call is told once it is whole, so that one which turns out malformed, or names a function nobody
offered, stays text.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from adapters.generation.held_calls import HeldCalls
from adapters.models.escaping import special_tokens
from adapters.written_calls import Call, WrittenCalls, tool_format
from domain.sampling import GenerationRequest, TextDelta
from domain.tool_use import CallPiece


class CallSplit(Protocol):
    """Takes the calls of one answer out of its text."""

    @property
    def over(self) -> bool:
        """Whether no further call is wanted, nor text after it."""

    def apart(self, delta: TextDelta) -> TextDelta:
        """A piece with its calls apart; an answer that ends with calls ends for their sake."""


class ToolCallSplit:
    """Implements CallSplit for an answer that may be text.

    Splits text as it comes; a piece that may belong to a call is held back.
    """

    def __init__(self, written: WrittenCalls, names: frozenset[str], *, parallel: bool) -> None:
        self._written = written
        self._names = names
        self._parallel = parallel
        self._held = ""
        self._said = False
        self._count = 0

    @property
    def over(self) -> bool:
        """Whether no further call is wanted, nor text after it."""
        return self._count > 0 and not self._parallel

    def apart(self, delta: TextDelta) -> TextDelta:
        """A piece with its calls apart; an answer that ends with calls ends for their sake."""
        final = delta.finish_reason is not None
        text, calls = self.feed(delta.text, final=final)
        pieces = tuple(
            CallPiece(index=self._count - len(calls) + number, name=name, arguments=arguments)
            for number, (name, arguments) in enumerate(calls)
        )
        called = self.over or (delta.finish_reason == "stop" and self._count > 0)
        reason = "tool_calls" if final and called else delta.finish_reason
        return replace(delta, text=text, tool_calls=pieces, finish_reason=reason)

    def feed(self, text: str, *, final: bool = False) -> tuple[str, list[Call]]:
        """(text, calls) that are sure by now; with `final`, everything that is left."""
        if self.over:
            return "", []
        self._held += text
        said, calls = "", []
        while self._held and not self.over:
            start = self._written.begins(self._held, not self._said)
            if start is None:
                said += self._give(self._ready(None, final=final))
                break
            found = self._written.read(self._held, start)
            if found is None and not final:
                said += self._give(self._ready(start, final=False))
                break
            kept = self._wanted(found[0]) if found else []
            if found and kept:
                end = found[1]
                before = self._held[:start].rstrip()
                said += self._give(len(before))
                self._held = self._held[end - len(before) :]
                calls += kept
                self._count += len(kept)
            else:
                said += self._give(start + max(1, len(self._written.opening)))
        return said, calls

    def _ready(self, start: int | None, *, final: bool) -> int:
        """Characters of what is held that are text; white space may yet stand before a call."""
        if final:
            blank = self._count > 0 and not self._held.strip()
            return 0 if blank else len(self._held)
        end = self._written.sure(self._held) if start is None else start
        return len(self._held[:end].rstrip())

    def _give(self, count: int) -> str:
        given, self._held = self._held[:count], self._held[count:]
        self._said = self._said or bool(given.strip())
        return given

    def _wanted(self, calls: list[Call]) -> list[Call]:
        if any(name not in self._names for name, _ in calls):
            return []
        return calls if self._parallel else calls[:1]


class ToolTexts:
    """What one tokenizer and template make of tools."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._specials = frozenset(special_tokens(tokenizer).tokens)
        self._template = str(tokenizer.chat_template)

    def marks_shown(self, request: GenerationRequest) -> bool:
        """Whether special tokens are to be decoded, because the marks of calls are among them."""
        if not request.conversation.tools:
            return False
        written = tool_format(self._template)
        return bool({written.opening, written.closing, written.middle} & self._specials)

    def split(self, request: GenerationRequest) -> CallSplit | None:
        """What splits calls off the answer; None where there are no tools."""
        if not request.conversation.tools or request.prompt is not None:
            return None
        written = tool_format(self._template)
        if request.tool_use.required:
            return HeldCalls(written)
        parallel = request.tool_use.parallel
        return ToolCallSplit(written, offered_names(request), parallel=parallel)

    def grammar(self, request: GenerationRequest) -> str | None:
        """What the answer reads as, in Lark; None where nothing about calls is to be held."""
        use, offered = request.tool_use, functions(request)
        if not offered or request.prompt is not None:
            return None
        written = tool_format(self._template)
        if use.required:
            asked = [each for each in offered if use.name in (None, each["name"])]
            several = use.parallel and use.name is None
            return written.grammar(asked, self._literal, several=several)
        if any(each.get("strict") for each in offered):
            return written.free_grammar(offered, self._literal, several=use.parallel)
        return None

    def _literal(self, text: str) -> str:
        if text in self._specials:
            return f"<[{self._tokenizer.convert_tokens_to_ids(text)}]>"
        return json.dumps(text, ensure_ascii=False)


def offered_names(request: GenerationRequest) -> frozenset[str]:
    """The names of the functions that are offered."""
    return frozenset(str(each["name"]) for each in functions(request))


def functions(request: GenerationRequest) -> list[Mapping[str, Any]]:
    """The functions that are offered."""
    return [tool["function"] for tool in request.conversation.tools_as_json() or ()]
