"""Completion requests: texts or token ids to go on from, and every mistake found at once."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationError

from domain.errors import HextuneError, Problem
from domain.sampling import GenerationRequest
from entrypoints.http_api.schema.completion_fields import COMPLETION_FIELDS
from entrypoints.http_api.schema.fields import supported
from entrypoints.http_api.schema.values import (
    MOST_ANSWERS,
    DrawnBody,
    bad,
    invalid,
    stream_options,
)

DEFAULT_TOKENS = 16
"""OpenAI's default for completions."""

Token = Annotated[int, Field(ge=0, lt=2**31)]
Prompt = str | list[Token]


def as_prompts(prompt: object) -> object:
    """Prompts as a list; a text is one, and so is a list of token ids."""
    if isinstance(prompt, str):
        return [prompt]
    if not isinstance(prompt, list) or not prompt:
        raise ValueError("it is neither a text, nor token ids, nor a list of them")
    if all(isinstance(each, str) for each in prompt):
        return prompt
    if all(isinstance(each, list) and each for each in prompt):
        return prompt
    if all(isinstance(each, int) and not isinstance(each, bool) for each in prompt):
        return [prompt]
    raise ValueError("it is neither a text, nor token ids, nor a list of one of them")


class CompletionBody(DrawnBody):
    """The honoured fields, as they arrive."""

    prompt: Annotated[list[Prompt], BeforeValidator(as_prompts)]
    max_tokens: Annotated[int, Field(ge=0)] | None = None
    echo: bool | None = None
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionRequest:
    """A request without mistakes."""

    model: str
    """The model as the request names it."""
    generations: tuple[GenerationRequest, ...]
    """One for each choice, in order of their index: the choices of a prompt together."""
    choices: int
    """Choices of each prompt."""
    stream: bool
    """Whether the answer comes in pieces."""
    include_usage: bool
    """Whether a stream ends with the tokens used."""


def read_completion(values: object) -> CompletionRequest:
    """The request in a JSON value. Raises HextuneError with every mistake in it."""
    if not isinstance(values, dict):
        raise HextuneError([bad("body", "it is not a JSON object")])
    kept, problems = supported(values, COMPLETION_FIELDS)
    problems += [*stream_options(kept), *conflicts(kept)]
    try:
        body = CompletionBody.model_validate(kept)
    except ValidationError as error:
        raise HextuneError([*problems, *invalid(error)]) from error
    if len(body.prompt) * (body.n or 1) > MOST_ANSWERS:
        problems.append(bad("prompt", f"with n it asks for more than {MOST_ANSWERS} answers"))
    if problems:
        raise HextuneError(problems)
    return wanted(body)


def conflicts(values: Mapping[str, object]) -> list[Problem]:
    """Fields that may be valid alone and are not together."""
    if values.get("max_tokens") == 0 and not values.get("echo"):
        return [bad("max_tokens", "0 is only for requests with echo true")]
    return []


def wanted(body: CompletionBody) -> CompletionRequest:
    """The generations a valid body asks for."""
    choices = body.n or 1
    limit = DEFAULT_TOKENS if body.max_tokens is None else body.max_tokens
    prompts = [prompt for prompt in body.prompt for _ in range(choices)]
    return CompletionRequest(
        model=body.model,
        generations=tuple(
            GenerationRequest(
                model=body.model,
                prompt=prompt if isinstance(prompt, str) else tuple(prompt),
                echo=bool(body.echo),
                sampling=replace(body.drawn(index), max_tokens=limit, logprobs=body.logprobs),
            )
            for index, prompt in enumerate(prompts)
        ),
        choices=choices,
        stream=bool(body.stream),
        include_usage=body.include_usage,
    )
