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

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[
        list[Annotated[TextPart, BeforeValidator(only_text)]],
        BeforeValidator(as_parts),
        Field(min_length=1),
    ]

    def message(self) -> Message:
        """The turn as the domain knows it."""
        role = Role.SYSTEM if self.role in SYSTEM_ROLES else Role(self.role)
        return Message(role, "".join(part.text for part in self.content))


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
        problems.append(bad(field, "the last turn is not the user's, so nothing is to be answered"))
    return problems


def wanted(body: ChatBody) -> ChatRequest:
    """The generations a valid body asks for."""
    conversation = Conversation(tuple(message.message() for message in body.messages))
    return ChatRequest(
        model=body.model,
        generations=tuple(
            GenerationRequest(
                model=body.model, conversation=conversation, sampling=sampling(body, index)
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
