"""Requests as domain values; every fault of a request is reported at once, by field."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from domain.conversation import Conversation, Message, Role
from domain.errors import HextuneError, Place, Problem, problem
from domain.sampling import GenerationRequest, Sampling
from entrypoints.grpc_api.generated.hextune.v1 import generation_pb2, jobs_pb2
from ports.spec_reader import SpecText

T = TypeVar("T")

PAGE_SIZE = 50
LARGEST_PAGE = 1000
HOTTEST = 2.0
JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def bad_field(field: str, reason: str) -> Problem:
    """A problem with one field of a request."""
    return problem("request-bad-field", Place(field=field), field=field, reason=reason)


def job_id_of(job_id: str) -> str:
    """`job_id`, unless it could name a folder elsewhere on the server's disk."""
    if not JOB_ID.fullmatch(job_id):
        raise HextuneError([bad_field("job_id", "it is not a run id")])
    return job_id


def spec_text_of(request: jobs_pb2.CreateJobRequest | jobs_pb2.PlanJobRequest) -> SpecText:
    """The spec of a request. Raises HextuneError where its format is not set."""
    names = jobs_pb2.SpecFormat
    known = {names.Value(f"SPEC_FORMAT_{name.upper()}"): name for name in ("yaml", "toml", "json")}
    if request.spec_format not in known:
        raise HextuneError([bad_field("spec_format", f"set one of {', '.join(known.values())}")])
    return SpecText(
        text=request.spec_text,
        format=known[request.spec_format],
        source="spec_text",
        overrides=tuple(request.overrides),
    )


def page_of(
    items: Sequence[T], name: Callable[[T], str], size: int, token: str
) -> tuple[Sequence[T], str]:
    """(the page after `token`, the token of the next one or ""); a token holds the last name sent.

    Raises HextuneError for a negative size, and for a token whose item is there no more.
    """
    if size < 0:
        raise HextuneError([bad_field("page_size", "it is negative")])
    start = 0
    if token:
        names = [name(item) for item in items]
        last = _token_name(token)
        if last not in names:
            raise HextuneError([bad_field("page_token", "it is of no page here; start again")])
        start = names.index(last) + 1
    end = start + min(size or PAGE_SIZE, LARGEST_PAGE)
    page = items[start:end]
    more = end < len(items)
    return page, urlsafe_b64encode(name(page[-1]).encode()).decode() if more else ""


def _token_name(token: str) -> str | None:
    try:
        return urlsafe_b64decode(token).decode()
    except (Base64Error, ValueError):
        return None


def generation_of(request: generation_pb2.GenerateRequest, default_model: str) -> GenerationRequest:
    """The generation asked for, of `default_model` where none is named.

    Raises HextuneError with every bad field.
    """
    problems = [*_message_faults(request), *_sampling_faults(request)]
    if problems:
        raise HextuneError(problems)
    messages = [Message(_role(message), message.content) for message in request.messages]
    return GenerationRequest(
        model=request.model or default_model,
        conversation=Conversation(tuple(messages)),
        sampling=_sampling_of(request),
    )


def _role(message: generation_pb2.Message) -> Role:
    return Role[generation_pb2.Role.Name(message.role).removeprefix("ROLE_")]


def _sampling_of(request: generation_pb2.GenerateRequest) -> Sampling:
    defaults = Sampling()
    given = request.HasField
    return Sampling(
        temperature=request.temperature if given("temperature") else defaults.temperature,
        top_p=request.top_p if given("top_p") else defaults.top_p,
        max_tokens=request.max_tokens if given("max_tokens") else None,
        stop=tuple(request.stop),
        seed=request.seed if given("seed") else None,
    )


def _message_faults(request: generation_pb2.GenerateRequest) -> Iterator[Problem]:
    """A system turn only first, then user and assistant in turn, ending with the user."""
    roles = generation_pb2.Role
    first_turn = 1 if request.messages and request.messages[0].role == roles.ROLE_SYSTEM else 0
    for number, message in enumerate(request.messages[first_turn:]):
        wanted = roles.ROLE_USER if number % 2 == 0 else roles.ROLE_ASSISTANT
        if message.role != wanted:
            field = f"messages[{number + first_turn}].role"
            yield bad_field(field, f"this turn should be {roles.Name(wanted)}")
            return
    if (len(request.messages) - first_turn) % 2 == 0:
        yield bad_field("messages", "the last turn should be ROLE_USER")


def _sampling_faults(request: generation_pb2.GenerateRequest) -> Iterator[Problem]:
    if not 0 <= request.temperature <= HOTTEST:
        yield bad_field("temperature", f"it is not between 0 and {HOTTEST:g}")
    if request.HasField("top_p") and not 0 < request.top_p <= 1:
        yield bad_field("top_p", "it is not above 0 and at most 1")
    if request.HasField("max_tokens") and request.max_tokens < 1:
        yield bad_field("max_tokens", "it is less than 1")
    if "" in request.stop:
        yield bad_field("stop", "one of the texts is empty")
