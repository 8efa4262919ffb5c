"""Chat completion requests: every mistake found at once, then the generations they ask for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from domain.conversation import Conversation, Message, Role
from domain.errors import HextuneError, Place, Problem, problem
from domain.sampling import GenerationRequest, Sampling
from entrypoints.http_api.schema.fields import (
    MESSAGE_FIELDS,
    REQUEST_FIELDS,
    STREAM_FIELDS,
    supported,
)

MAX_SEED = 2**63 - 1

SYSTEM_ROLES = ("system", "developer")
"""Both instruct; developer is OpenAI's newer name."""


class Strict(BaseModel):
    """No value is converted, and no field beyond the model's is taken."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


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


class StreamOptions(Strict):
    """What a stream carries besides text."""

    include_usage: bool | None = None


StopText = Annotated[str, Field(min_length=1)]
Tokens = Annotated[int, Field(ge=1)]


def as_stops(stop: object) -> object:
    """Stop texts as a list; a plain text is one."""
    return [stop] if isinstance(stop, str) else stop


class ChatBody(Strict):
    """The honoured fields, as they arrive."""

    model: str
    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_completion_tokens: Tokens | None = None
    max_tokens: Tokens | None = None
    stop: Annotated[
        Annotated[list[StopText], Field(max_length=4)] | None, BeforeValidator(as_stops)
    ] = None
    seed: Annotated[int, Field(ge=-MAX_SEED - 1, le=MAX_SEED)] | None = None
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None


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
    options = kept.get("stream_options")
    if isinstance(options, dict):
        kept["stream_options"], found = supported(options, STREAM_FIELDS, "stream_options.")
        problems += found
    return kept, problems


def invalid(error: ValidationError) -> list[Problem]:
    """Our problems for what a schema found."""
    problems = []
    for found in error.errors(include_url=False, include_input=False):
        field = shown_path(found["loc"])
        if found["type"] == "extra_forbidden":
            problems.append(problem("request-unsupported-field", Place(field=field), field=field))
        else:
            reason = found["msg"].removeprefix("Value error, ")
            problems.append(bad(field, reason[:1].lower() + reason[1:]))
    return problems


def conflicts(values: Mapping[str, object]) -> list[Problem]:
    """Fields that may be valid alone and are not together."""
    problems = []
    limit, deprecated = values.get("max_completion_tokens"), values.get("max_tokens")
    if limit is not None and deprecated is not None and limit != deprecated:
        problems.append(bad("max_tokens", "it differs from max_completion_tokens"))
    if values.get("stream_options") is not None and not values.get("stream"):
        problems.append(bad("stream_options", "it is only for requests with stream true"))
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
        include_usage=body.stream_options is not None and bool(body.stream_options.include_usage),
    )


def sampling(body: ChatBody, index: int) -> Sampling:
    """How choice `index` is drawn."""
    return Sampling(
        temperature=1.0 if body.temperature is None else body.temperature,
        top_p=1.0 if body.top_p is None else body.top_p,
        max_tokens=body.max_completion_tokens or body.max_tokens,
        stop=tuple(body.stop or ()),
        seed=None if body.seed is None else body.seed + index,
    )


def bad(field: str, reason: str) -> Problem:
    """A field with a wrong value."""
    return problem("request-bad-field", Place(field=field), field=field, reason=reason)


def shown_path(parts: tuple[int | str, ...]) -> str:
    """A path as OpenAI writes it: messages[0].content[1].text."""
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")
