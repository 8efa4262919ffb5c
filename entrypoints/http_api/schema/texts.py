"""Requests about texts: their tokens, as in vLLM's server, and their embeddings, as in OpenAI's."""

import base64
import struct
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, TypeVar

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from domain.conversation import Conversation
from domain.errors import HextuneError
from domain.sampling import GenerationRequest
from entrypoints.http_api.schema.chat import ChatMessage
from entrypoints.http_api.schema.completions import Prompt, Token, as_prompts
from entrypoints.http_api.schema.fields import REJECTED, FieldRule, honoured, supported
from entrypoints.http_api.schema.replies import Reply
from entrypoints.http_api.schema.values import MOST_ANSWERS, Strict, bad, invalid

Body = TypeVar("Body", bound=Strict)


class TokenizeBody(Strict):
    """A text, or a conversation as the model's template writes it."""

    model: str | None = None
    prompt: str | None = None
    messages: Annotated[list[ChatMessage], Field(min_length=1)] | None = None
    add_special_tokens: bool | None = None

    @model_validator(mode="after")
    def _has_one(self) -> "TokenizeBody":
        if (self.prompt is None) is (self.messages is None):
            raise ValueError("it carries either prompt or messages")
        if self.messages is not None and self.add_special_tokens is not None:
            raise ValueError("add_special_tokens is only for a prompt; a template brings its own")
        return self

    def request(self, model: str) -> GenerationRequest:
        """What the messages ask for."""
        turns = tuple(message.message() for message in self.messages or ())
        return GenerationRequest(model=model, conversation=Conversation(turns))


class DetokenizeBody(Strict):
    """Token ids."""

    model: str | None = None
    tokens: list[Token]


class EmbeddingBody(Strict):
    """The honoured fields, as they arrive."""

    model: str
    input: Annotated[
        list[Prompt], BeforeValidator(as_prompts), Field(min_length=1, max_length=MOST_ANSWERS)
    ]
    encoding_format: Literal["float", "base64"] | None = None


EMBEDDING_FIELDS: Mapping[str, FieldRule] = {
    "model": honoured("an id out of `/v1/models`"),
    "input": honoured("a text, token ids, or a list of up to 128 of either"),
    "encoding_format": honoured("`float`, or `base64` of little-endian float32"),
    "dimensions": REJECTED,
    "user": REJECTED,
}
"""Every field of OpenAI's `CreateEmbeddingRequest`."""


def read_embedding(values: object) -> EmbeddingBody:
    """The request in a JSON value. Raises HextuneError with every mistake in it."""
    if not isinstance(values, dict):
        raise HextuneError([bad("body", "it is not a JSON object")])
    kept, problems = supported(values, EMBEDDING_FIELDS)
    body = read(EmbeddingBody, kept)
    if problems:
        raise HextuneError(problems)
    return body


def read(kind: type[Body], values: object) -> Body:
    """The body in a JSON value. Raises HextuneError with every mistake in it."""
    if not isinstance(values, dict):
        raise HextuneError([bad("body", "it is not a JSON object")])
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise HextuneError(invalid(error)) from error


def embeddings_reply(body: EmbeddingBody, vectors: Sequence[Sequence[float]], tokens: int) -> Reply:
    """The vectors of a request's texts, in their order."""
    packed = body.encoding_format == "base64"
    data = [
        {"object": "embedding", "index": index, "embedding": base64_of(each) if packed else each}
        for index, each in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": body.model, "usage": usage}


def base64_of(vector: Sequence[float]) -> str:
    """A vector as little-endian float32 in base64."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
