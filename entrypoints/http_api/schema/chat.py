"""Chat completion requests: every mistake found at once, then the generations they ask for."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from domain.conversation import Conversation, Message, Role
from domain.errors import HextuneError, Problem
from domain.sampling import GenerationRequest, Grammar, Sampling
from entrypoints.http_api.schema.fields import MESSAGE_FIELDS, REQUEST_FIELDS, supported
from entrypoints.http_api.schema.tools import (
    Choice,
    MadeCall,
    Tool,
    call_problems,
    in_order_of_calls,
    tool_problems,
    tool_use,
)
from entrypoints.http_api.schema.values import DrawnBody, Strict, bad, invalid, stream_options

SYSTEM_ROLES = ("system", "developer")
"""Both instruct; developer is OpenAI's newer name."""


class TextPart(Strict):
    """A piece of a message."""

    type: Literal["text"]
    text: str


def as_parts(content: object) -> object:
    """Content as a list of parts; a plain text is one part."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list):
        raise ValueError("it is neither a text nor a list of text parts")
    return content


def only_text(part: object) -> object:
    """`part`, unless it is of a type that cannot be answered."""
    if isinstance(part, dict) and part.get("type") != "text":
        raise ValueError("only parts of type text can be answered")
    return part


class ChatMessage(Strict):
    """One turn."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Annotated[
        list[Annotated[TextPart, BeforeValidator(only_text)]],
        BeforeValidator(as_parts),
        Field(min_length=1),
    ]
    tool_calls: list[MadeCall] | None = None
    tool_call_id: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _calls_need_no_text(cls, values: object) -> object:
        if isinstance(values, dict) and values.get("tool_calls") and values.get("content") is None:
            return {**values, "content": ""}
        return values

    @model_validator(mode="after")
    def _calls_and_results_have_their_roles(self) -> "ChatMessage":
        if self.tool_calls and self.role != "assistant":
            raise ValueError("tool_calls are only for the role assistant")
        if (self.role == "tool") is (self.tool_call_id is None):
            raise ValueError("tool_call_id goes with the role tool, and only with it")
        return self

    @property
    def call_ids(self) -> list[str]:
        """Ids of the calls it makes."""
        return [call.id for call in self.tool_calls or ()]

    def message(self) -> Message:
        """The turn as the domain knows it."""
        role = Role.SYSTEM if self.role in SYSTEM_ROLES else Role(self.role)
        calls = tuple(call.call() for call in self.tool_calls or ())
        return Message(role, "".join(part.text for part in self.content), calls)


Tokens = Annotated[int, Field(ge=1)]


class NamedSchema(Strict):
    """A JSON Schema with a name, which is told to no model."""

    name: Annotated[str, Field(pattern="^[a-zA-Z0-9_-]{1,64}$")]
    schema_: Annotated[dict[str, Any], Field(alias="schema")]
    description: str | None = None
    strict: bool | None = None


class ResponseFormat(Strict):
    """What an answer reads as; every schema is held strictly."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: NamedSchema | None = None

    @model_validator(mode="after")
    def _has_its_schema(self) -> "ResponseFormat":
        if (self.type == "json_schema") is (self.json_schema is None):
            raise ValueError("json_schema goes with type json_schema, and only with it")
        return self

    def grammar(self) -> Grammar | None:
        """What holds the answer; None for plain text."""
        if self.json_schema is not None:
            return Grammar(schema=json.dumps(self.json_schema.schema_, ensure_ascii=False))
        return Grammar() if self.type == "json_object" else None


class ChatBody(DrawnBody):
    """The honoured fields, as they arrive."""

    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    max_completion_tokens: Tokens | None = None
    max_tokens: Tokens | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    response_format: ResponseFormat | None = None
    tools: list[Tool] | None = None
    tool_choice: Choice | None = None
    parallel_tool_calls: bool | None = None

    @property
    def offered(self) -> list[Tool]:
        """The tools the model is told of."""
        return [] if self.tool_choice == "none" else self.tools or []

    def problems(self) -> list[Problem]:
        """Fields and turns that are valid alone and are not together."""
        turns = [(message.call_ids, message.tool_call_id) for message in self.messages]
        formatted = self.response_format is not None and self.response_format.type != "text"
        tools = tool_problems(
            self.tools or [], self.tool_choice, self.parallel_tool_calls, formatted=formatted
        )
        return [*tools, *call_problems(turns, lambda turn, key: f"messages[{turn}].{key}")]

    def conversation(self) -> Conversation:
        """What was said, each result in the place of its call, and the tools."""
        messages = in_order_of_calls(
            [message.message() for message in self.messages],
            [message.call_ids for message in self.messages],
            [message.tool_call_id for message in self.messages],
        )
        return Conversation(messages, tuple(tool.definition() for tool in self.offered))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A request without mistakes."""

    model: str
    """The model as the request names it."""
    generations: tuple[GenerationRequest, ...]
    """One for each choice, in order of their index."""
    stream: bool
    """Whether the answer comes in pieces."""
    include_usage: bool
    """Whether a stream ends with the tokens used."""
    logprobs: bool
    """Whether log-probabilities are told."""


def read_chat(values: object) -> ChatRequest:
    """The request in a JSON value. Raises HextuneError with every mistake in it."""
    if not isinstance(values, dict):
        raise HextuneError([bad("body", "it is not a JSON object")])
    kept, problems = known_fields(values)
    problems += [*conflicts(kept), *turn_problems(kept.get("messages"))]
    try:
        body = ChatBody.model_validate(kept)
    except ValidationError as error:
        raise HextuneError([*problems, *invalid(error)]) from error
    problems += body.problems()
    if problems:
        raise HextuneError(problems)
    return wanted(body)


def known_fields(values: dict[str, object]) -> tuple[dict[str, object], list[Problem]]:
    """The honoured fields at every level, and a problem for each field that is not."""
    kept, problems = supported(values, REQUEST_FIELDS)
    messages = kept.get("messages")
    if isinstance(messages, list):
        read = []
        for number, message in enumerate(messages):
            if isinstance(message, dict):
                message, found = supported(message, MESSAGE_FIELDS, f"messages[{number}].")
                problems += found
            read.append(message)
        kept["messages"] = read
    return kept, [*problems, *stream_options(kept)]


def conflicts(values: Mapping[str, object]) -> list[Problem]:
    """Fields that may be valid alone and are not together."""
    problems = []
    limit, deprecated = values.get("max_completion_tokens"), values.get("max_tokens")
    if limit is not None and deprecated is not None and limit != deprecated:
        problems.append(bad("max_tokens", "it differs from max_completion_tokens"))
    if values.get("top_logprobs") and not values.get("logprobs"):
        problems.append(bad("top_logprobs", "it is only for requests with logprobs true"))
    return problems


def turn_problems(messages: object) -> list[Problem]:
    """Turns out of place; whose turn it is in between is up to the model's template."""
    turns = messages if isinstance(messages, list) else []
    roles = [turn.get("role") if isinstance(turn, dict) else None for turn in turns]
    problems = [
        bad(f"messages[{number}].role", "a system turn comes first, and only once")
        for number, role in enumerate(roles)
        if number > 0 and role in SYSTEM_ROLES
    ]
    if roles and roles[-1] in (*SYSTEM_ROLES, "assistant"):
        field = f"messages[{len(roles) - 1}].role"
        reason = "the last turn is neither the user's nor a tool's, so nothing is to be answered"
        problems.append(bad(field, reason))
    return problems


def wanted(body: ChatBody) -> ChatRequest:
    """The generations a valid body asks for."""
    conversation, use = body.conversation(), tool_use(body.tool_choice, body.parallel_tool_calls)
    return ChatRequest(
        model=body.model,
        generations=tuple(
            GenerationRequest(
                model=body.model,
                conversation=conversation,
                sampling=sampling(body, index),
                tool_use=use,
            )
            for index in range(body.n or 1)
        ),
        stream=bool(body.stream),
        include_usage=body.include_usage,
        logprobs=bool(body.logprobs),
    )


def sampling(body: ChatBody, index: int) -> Sampling:
    """How choice `index` is drawn."""
    return replace(
        body.drawn(index),
        max_tokens=body.max_completion_tokens or body.max_tokens,
        logprobs=(body.top_logprobs or 0) if body.logprobs else None,
        grammar=None if body.response_format is None else body.response_format.grammar(),
    )
