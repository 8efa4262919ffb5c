"""Tools of a request: functions that may be called, calls made before, and their results."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import from_json

from domain.conversation import Message, Role, ToolCall
from domain.errors import Problem
from domain.fingerprint import Json
from domain.tool_use import ToolUse
from entrypoints.http_api.schema.values import Strict, bad

FunctionName = Annotated[str, StringConstraints(pattern="^[a-zA-Z0-9_-]{1,64}$")]


class FunctionDefinition(Strict):
    """A function the model may call."""

    name: FunctionName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(Strict):
    """A tool; functions are the only kind."""

    type: Literal["function"]
    function: FunctionDefinition

    def definition(self) -> dict[str, Json]:
        """The tool as templates take it."""
        return self.model_dump(exclude_none=True)


class FunctionChoice(Strict):
    """The name of a function."""

    name: FunctionName


class NamedChoice(Strict):
    """The one function that must be called."""

    type: Literal["function"]
    function: FunctionChoice


def an_object(text: str) -> str:
    """`text`, unless it is no JSON object."""
    try:
        value = from_json(text, allow_inf_nan=False)
    except ValueError:
        raise ValueError("it is not JSON") from None
    if not isinstance(value, dict):
        raise ValueError("it is no JSON object")
    return text


Arguments = Annotated[str, AfterValidator(an_object)]


class CalledFunction(Strict):
    """A function with its arguments."""

    name: FunctionName
    arguments: Arguments


class MadeCall(Strict):
    """A call that the model made before."""

    id: Annotated[str, Field(min_length=1)]
    type: Literal["function"]
    function: CalledFunction

    def call(self) -> ToolCall:
        """The call as the domain knows it."""
        return ToolCall(self.function.name, from_json(self.function.arguments))


Choice = Literal["auto", "none", "required"] | NamedChoice


def tool_use(choice: Choice | None, parallel: bool | None) -> ToolUse:
    """How the tools are to be used."""
    name = choice.function.name if isinstance(choice, NamedChoice) else None
    required = name is not None or choice == "required"
    return ToolUse(required=required, name=name, parallel=parallel is not False)


def tool_problems(
    tools: Sequence[Tool], choice: Choice | None, parallel: bool | None, *, formatted: bool
) -> list[Problem]:
    """What does not go together; `formatted` says that the answer's text is held to a format."""
    names = [tool.function.name for tool in tools]
    problems = [
        bad(f"tools[{number}].function.name", "another tool has the same name")
        for number, name in enumerate(names)
        if name in names[:number]
    ]
    if isinstance(choice, NamedChoice) and choice.function.name not in names:
        problems.append(bad("tool_choice.function.name", "no tool has this name"))
    if choice == "required" and not names:
        problems.append(bad("tool_choice", "it is only for requests with tools"))
    if parallel is not None and not names:
        problems.append(bad("parallel_tool_calls", "it is only for requests with tools"))
    if formatted and names and choice != "none":
        reason = "an answer is held to it or calls tools, and not both; set tool_choice none"
        problems.append(bad("response_format", reason))
    return problems


def call_problems(
    turns: Sequence[tuple[Sequence[str], str | None]], place: Callable[[int, str], str]
) -> list[Problem]:
    """Calls without a result, and results without a call.

    A turn is (ids of the calls it makes, id of the call it answers); `place` names one of its
    fields.
    """
    problems: list[Problem] = []
    waiting: dict[str, int] = {}
    for number, (made, answered) in enumerate(turns):
        if answered is not None and waiting.pop(answered, None) is None:
            problems.append(bad(place(number, "tool_call_id"), "no call waits under this id"))
        if answered is None:
            problems += unanswered(waiting, place)
            waiting = dict.fromkeys(made, number)
            if len(waiting) < len(made):
                problems.append(bad(place(number, "tool_calls"), "two calls have one id"))
    return problems + unanswered(waiting, place)


def unanswered(waiting: dict[str, int], place: Callable[[int, str], str]) -> list[Problem]:
    """A problem for each call that waits for its result."""
    return [
        bad(place(number, "tool_calls"), f"the call {call} has no result after it")
        for call, number in waiting.items()
    ]


def in_order_of_calls(
    messages: Sequence[Message], made: Sequence[Sequence[str]], answered: Sequence[str | None]
) -> tuple[Message, ...]:
    """The turns with results in the order of their calls, by which a conversation binds them."""
    ordered: list[Message] = []
    ids: Sequence[str] = ()
    results: dict[str, Message] = {}
    for message, calls, call in zip(messages, made, answered, strict=True):
        if message.role is Role.TOOL and call is not None:
            results[call] = message
            continue
        ordered += [results[each] for each in ids]
        ordered.append(message)
        ids, results = calls, {}
    return (*ordered, *(results[each] for each in ids))
