"""Requests for responses: every mistake found at once, then the generation they ask for."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator
from pydantic_core import from_json

from domain.conversation import Conversation, Message, Role, ToolCall
from domain.errors import HextuneError, Problem
from domain.sampling import GenerationRequest, Grammar, Sampling
from entrypoints.http_api.schema.fields import supported
from entrypoints.http_api.schema.response_fields import ITEM_FIELDS, RESPONSE_FIELDS
from entrypoints.http_api.schema.tools import (
    Arguments,
    Choice,
    FunctionChoice,
    FunctionDefinition,
    FunctionName,
    NamedChoice,
    Tool,
    call_problems,
    in_order_of_calls,
    tool_problems,
    tool_use,
)
from entrypoints.http_api.schema.values import Strict, bad, invalid

Item = dict[str, Any]
NEEDED: dict[str, tuple[str, ...]] = {
    "message": ("role", "content"),
    "function_call": ("call_id", "name", "arguments"),
    "function_call_output": ("call_id", "output"),
    "reasoning": (),
}
"""What an item of each type must carry."""


class ItemPart(Strict):
    """A text inside an item; replies bring empty annotations and log-probabilities."""

    type: Literal["input_text", "output_text", "reasoning_text"]
    text: str
    annotations: Annotated[list[Any], Field(max_length=0)] | None = None
    logprobs: Annotated[list[Any], Field(max_length=0)] | None = None


def as_parts(content: object) -> object:
    """Texts as a list of parts; a plain text is one part."""
    return [{"type": "input_text", "text": content}] if isinstance(content, str) else content


Parts = Annotated[list[ItemPart] | None, BeforeValidator(as_parts)]


class InputItem(Strict):
    """One item; its type says which of the fields it carries."""

    type: Literal["message", "function_call", "function_call_output", "reasoning"] = "message"
    id: str | None = None
    status: Literal["in_progress", "completed", "incomplete"] | None = None
    role: Literal["user", "assistant", "system", "developer"] | None = None
    content: Parts = None
    call_id: Annotated[str, Field(min_length=1)] | None = None
    name: FunctionName | None = None
    arguments: Arguments | None = None
    output: Parts = None

    @model_validator(mode="after")
    def _is_whole(self) -> "InputItem":
        values = dict(self)
        missing = [name for name in NEEDED[self.type] if values[name] is None]
        if missing:
            raise ValueError(f"an item of type {self.type} needs {', '.join(missing)}")
        return self

    def text(self) -> str:
        """Everything it says."""
        return "".join(part.text for part in self.content or self.output or ())


def as_items(given: object) -> object:
    """Input as items; a plain text is the user's message."""
    return [{"role": "user", "content": given}] if isinstance(given, str) else given


class FlatTool(FunctionDefinition):
    """A function the model may call, as this API writes it."""

    type: Literal["function"]

    def tool(self) -> Tool:
        """The tool as chat completions write it; strict where nothing is said."""
        values = self.model_dump(exclude={"type"})
        strict = True if self.strict is None else self.strict
        return Tool(type="function", function=FunctionDefinition(**{**values, "strict": strict}))


class FlatChoice(FunctionChoice):
    """The one function that must be called."""

    type: Literal["function"]


class TextFormat(Strict):
    """What the text reads as; every schema is held strictly."""

    type: Literal["text", "json_object", "json_schema"]
    name: FunctionName | None = None
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None
    description: str | None = None
    strict: bool | None = None

    @model_validator(mode="after")
    def _has_its_schema(self) -> "TextFormat":
        if (self.type == "json_schema") is (self.schema_ is None or self.name is None):
            raise ValueError("name and schema go with type json_schema, and only with it")
        return self


class TextOptions(Strict):
    """How the text is written."""

    format: TextFormat | None = None

    def grammar(self) -> Grammar | None:
        """What holds the text; None for plain text."""
        if self.format is None or self.format.type == "text":
            return None
        schema = self.format.schema_
        return Grammar(schema=None if schema is None else json.dumps(schema, ensure_ascii=False))


ShortText = Annotated[str, Field(max_length=512)]
MetadataKey = Annotated[str, Field(max_length=64)]


class ResponseBody(Strict):
    """The honoured fields, as they arrive."""

    model: str
    input: Annotated[list[InputItem], BeforeValidator(as_items), Field(min_length=1)]
    instructions: str | None = None
    previous_response_id: str | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    tools: list[FlatTool] | None = None
    tool_choice: Literal["auto", "none", "required"] | FlatChoice | None = None
    parallel_tool_calls: bool | None = None
    text: TextOptions | None = None
    stream: bool | None = None
    store: bool | None = None
    background: bool | None = None
    metadata: Annotated[dict[MetadataKey, ShortText], Field(max_length=16)] | None = None

    @property
    def choice(self) -> Choice | None:
        """The choice of tools as chat completions write it."""
        if isinstance(self.tool_choice, FlatChoice):
            function = FunctionChoice(name=self.tool_choice.name)
            return NamedChoice(type="function", function=function)
        return self.tool_choice

    def generation(self, before: Sequence[Item]) -> GenerationRequest:
        """The generation it asks for after earlier items. Raises HextuneError for what does not
        go together."""
        tools = [tool.tool() for tool in self.tools or ()]
        grammar = None if self.text is None else self.text.grammar()
        choice, parallel = self.choice, self.parallel_tool_calls
        problems = tool_problems(tools, choice, parallel, formatted=grammar is not None)
        problems = [renamed(each) for each in problems]
        earlier = earlier_items(before)
        turns = turns_of([*earlier, *self.input], self.instructions)
        problems += [*order_problems(turns)]
        if problems:
            raise HextuneError(problems)
        offered = () if choice == "none" else tuple(tool.definition() for tool in tools)
        return GenerationRequest(
            model=self.model,
            conversation=Conversation(
                in_order_of_calls(
                    [turn.message() for turn in turns],
                    [turn.made for turn in turns],
                    [turn.answers for turn in turns],
                ),
                offered,
            ),
            sampling=Sampling(
                temperature=1.0 if self.temperature is None else self.temperature,
                top_p=1.0 if self.top_p is None else self.top_p,
                max_tokens=self.max_output_tokens,
                grammar=grammar,
            ),
            tool_use=tool_use(choice, parallel),
        )


def earlier_items(items: Sequence[Item]) -> list[InputItem]:
    """The items before a request. Raises HextuneError where the last one is half a call."""
    try:
        return [InputItem.model_validate(item) for item in items]
    except ValidationError as error:
        reason = "it was cut off within a function call, so nothing can go on from it"
        raise HextuneError([bad("previous_response_id", reason)]) from error


def renamed(found: Problem) -> Problem:
    """A problem of tools with its place as this API writes it."""
    field = str(found.place.field).replace(".function.name", ".name")
    field = "text.format" if field == "response_format" else field
    return bad(field, str(found.facts["reason"]))


@dataclass(slots=True)
class Turn:
    """A turn out of one or several items."""

    role: Role
    content: str
    reasoning: str | None
    made: list[str]
    calls: list[ToolCall]
    answers: str | None = None

    def message(self) -> Message:
        """The turn as the domain knows it."""
        return Message(self.role, self.content, tuple(self.calls), self.reasoning)


def turns_of(items: Sequence[InputItem], instructions: str | None) -> list[Turn]:
    """The turns of items: calls join the assistant's turn before them, thoughts the one after."""
    turns = [] if instructions is None else [Turn(Role.SYSTEM, instructions, None, [], [])]
    thought: str | None = None
    for item in items:
        if item.type == "reasoning":
            thought = item.text() or None
        elif item.type == "function_call_output":
            turns.append(Turn(Role.TOOL, item.text(), None, [], [], item.call_id))
        elif item.type == "message":
            role = Role.SYSTEM if item.role in ("system", "developer") else Role(item.role or "")
            turns.append(Turn(role, item.text(), thought, [], []))
            thought = None
        else:
            if not turns or turns[-1].role is not Role.ASSISTANT or thought is not None:
                turns.append(Turn(Role.ASSISTANT, "", thought, [], []))
                thought = None
            turns[-1].made.append(item.call_id or "")
            arguments = from_json(item.arguments or "{}")
            turns[-1].calls.append(ToolCall(item.name or "", arguments))
    return turns


def order_problems(turns: Sequence[Turn]) -> list[Problem]:
    """Turns out of place."""
    problems = call_problems([(t.made, t.answers) for t in turns], lambda turn, key: "input")
    roles = [turn.role for turn in turns]
    if Role.SYSTEM in roles[1:]:
        problems.append(bad("input", "a system text comes first, and only once"))
    if not turns or roles[-1] not in (Role.USER, Role.TOOL):
        problems.append(bad("input", "its last item is neither the user's nor a function's output"))
    return problems


def read_response(values: object) -> ResponseBody:
    """The request in a JSON value. Raises HextuneError with every mistake in it."""
    if not isinstance(values, dict):
        raise HextuneError([bad("body", "it is not a JSON object")])
    kept, problems = supported(values, RESPONSE_FIELDS)
    if "input" in kept:
        kept["input"], found = known_items(kept["input"])
        problems += found
    try:
        body = ResponseBody.model_validate(kept)
    except ValidationError as error:
        raise HextuneError([*problems, *invalid(error)]) from error
    problems += in_background(body)
    if problems:
        raise HextuneError(problems)
    return body


def in_background(body: ResponseBody) -> list[Problem]:
    """What does not go with an answer in the background."""
    problems = []
    if body.background and body.store is False:
        problems.append(bad("store", "an answer in the background is kept, to be retrieved"))
    if body.background and body.stream:
        problems.append(bad("stream", "an answer in the background is retrieved, not streamed"))
    return problems


def known_items(given: object) -> tuple[object, list[Problem]]:
    """The input with the honoured fields of its items, and a problem for each other field."""
    if not isinstance(given, list):
        return given, []
    items: list[object] = []
    problems: list[Problem] = []
    for number, item in enumerate(given):
        kind = item.get("type", "message") if isinstance(item, dict) else None
        if isinstance(kind, str) and kind in ITEM_FIELDS:
            item, found = supported(item, ITEM_FIELDS[kind], f"input[{number}].")
            problems += found
        items.append(item)
    return items, problems
