"""Tool calls as models write them: JSON objects of a name and arguments, between a family's marks.

A format both reads calls out of a text and, as a grammar for llguidance, has them written
(https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md). Arguments are held to the
function's JSON Schema; white space is that of `json.dumps`.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.catalog import FolderCatalog

KIND = "tool_formats"
PLAIN = "json"
"""The format of templates that give no sign of another."""
NO_ARGUMENTS = {"type": "object", "properties": {}, "additionalProperties": False}
"""What a function without parameters takes, as OpenAI's API has it."""
SPACED = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
FIXED = {"x-guidance": SPACED}
"""White space is as chat templates write it; free, a model could go on with it for ever."""

Call = tuple[str, str]
"""(name of the function, its arguments as JSON text)."""
Literal = Callable[[str], str]
"""A text as a terminal of a grammar; a special token is named by its id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenCalls:
    """How calls are written."""

    opening: str
    """What stands before a call; empty where an answer that begins as JSON is a call."""
    closing: str = ""
    """What stands after it."""
    gap: str = ""
    """What stands between either mark and the JSON."""
    between: str = ""
    """What stands between two calls."""
    arguments: str = "arguments"
    """The key of the arguments."""
    middle: str = ""
    """What stands between a name and its arguments, where a call is no JSON object of both."""
    listed: bool = False
    """Whether the calls of an answer are one JSON list."""
    several: bool = True
    """Whether an answer can hold more than one."""

    @property
    def head(self) -> re.Pattern[str]:
        """What a call begins with, up to its arguments; the name is its group."""
        if self.middle:
            return re.compile(rf"([\w-]+){re.escape(self.middle)}\s*")
        return re.compile(rf'\{{"name": "([^"]*)", "{re.escape(self.arguments)}": ')

    def begins(self, text: str, fresh: bool) -> int | None:
        """Where the first call in `text` may begin; `fresh` says nothing was said before it."""
        if self.opening:
            found = text.find(self.opening)
            return None if found < 0 else found
        blank = len(text) - len(text.lstrip())
        return blank if fresh and text[blank : blank + 1] in ("{", "[") else None

    def sure(self, text: str) -> int:
        """Characters of a text without calls that are no beginning of a mark."""
        sizes = range(min(len(self.opening) - 1, len(text)), 0, -1)
        return len(text) - next((n for n in sizes if self.opening.startswith(text[-n:])), 0)

    def read(self, text: str, start: int) -> tuple[list[Call], int] | None:
        """(calls, where they end) of what begins at `start`; no calls where it is something else.

        None while it is not whole.
        """
        body, name = _after_space(text, start + len(self.opening)), None
        if self.middle:
            found = self.head.match(text, body)
            if found is None:
                return None
            body, name = found.end(), found[1]
        try:
            value, end = DECODER.raw_decode(text, body)
        except ValueError:
            return None
        if self.closing:
            end = _after_space(text, end)
            if not text.startswith(self.closing, end):
                return None
            end += len(self.closing)
        if name is not None:
            value = {"name": name, self.arguments: value}
        each = [self._call(one) for one in (value if isinstance(value, list) else [value])]
        calls = [call for call in each if call is not None]
        return (calls if len(calls) == len(each) else []), end

    def grammar(
        self, functions: Sequence[Mapping[str, Any]], literal: Literal, *, several: bool
    ) -> str:
        """What an answer that is nothing but calls reads as."""
        more = several and self.several
        parts = [self._block(literal, more=more), *self._functions(functions, literal)]
        between = literal(self.between) if self.between else ""
        repeated = f" ({between} block)*" if more and not self.listed else ""
        return "\n".join([f"start: block{repeated}", *parts])

    def free_grammar(
        self, functions: Sequence[Mapping[str, Any]], literal: Literal, *, several: bool
    ) -> str:
        """What an answer of text and calls reads as, each call held once it has begun."""
        more = several and self.several
        block = self._block(literal, more=more, begun=True)
        parts = [block, *self._functions(functions, literal)]
        if not self.opening:
            return "\n".join(["start: block | PLAIN", r"PLAIN: /([^{\[\s](.|\n)*)?/", *parts])
        special = literal(self.opening).startswith("<")
        mark = f"trigger{'' if special else '[lazy]'}: TEXT {literal(self.opening)}"
        count = "*" if more and not self.listed else "?"
        start = f"start: (trigger block){count} tail"
        return "\n".join([start, mark, "tail: TEXT", r"TEXT: /(.|\n)*/", *parts])

    def _block(self, literal: Literal, *, more: bool, begun: bool = False) -> str:
        calls = "call" + (f" ({literal(', ')} call)*" if more else "")
        body = f'"[" {calls} "]"' if self.listed else "call"
        before = "" if begun or not self.opening else literal(self.opening)
        after = literal(self.closing) if self.closing else ""
        gap = literal(self.gap) if self.gap else ""
        return f"block: {before} {gap} {body} {gap if after else ''} {after}"

    def _functions(self, functions: Sequence[Mapping[str, Any]], literal: Literal) -> list[str]:
        rules = [f"call: {' | '.join(f'call_{number}' for number in range(len(functions)))}"]
        for number, function in enumerate(functions):
            schema = {**FIXED, **(function.get("parameters") or NO_ARGUMENTS)}
            name = function["name"]
            if self.middle:
                call = f'"{name}" {literal(self.middle)} args_{number}'
            else:
                head = f'{{"name": "{name}", "{self.arguments}": '
                call = f'{json.dumps(head)} args_{number} "}}"'
            rules.append(f"call_{number}: {call}")
            rules.append(f"args_{number}: %json {json.dumps(schema)}")
        return rules

    def _call(self, value: Any) -> Call | None:
        if not isinstance(value, dict) or not isinstance(value.get("name"), str):
            return None
        arguments = value.get(self.arguments)
        if not isinstance(arguments, dict):
            return None
        return value["name"], json.dumps(arguments, ensure_ascii=False)


def _after_space(text: str, start: int) -> int:
    rest = text[start:]
    return start + len(rest) - len(rest.lstrip())


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


DECODER = json.JSONDecoder(parse_constant=_no_number)


def format_name(template: str) -> str:
    """The format that models with this chat template write."""
    catalog = FolderCatalog()
    names = [name for name in catalog.names(KIND) if name != PLAIN]
    return next((name for name in names if catalog.part(KIND, name).SIGN.search(template)), PLAIN)


def tool_format(template: str) -> WrittenCalls:
    """How models with this chat template write calls."""
    written: WrittenCalls = FolderCatalog().part(KIND, format_name(template)).FORMAT
    return written
