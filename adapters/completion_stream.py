"""Answers of an OpenAI-compatible server as they come: server-sent events to pieces of text.

The shapes are `CreateChatCompletionStreamResponse` and `CreateCompletionResponse` of OpenAI's API;
log-probabilities of a completion name tokens by their text.
"""

import json
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any

from domain.conversation import Conversation
from domain.errors import HextuneError, fail
from domain.sampling import (
    FinishReason,
    GenerationRequest,
    Sampling,
    TextDelta,
    TokenLogprob,
)
from domain.tool_use import CallPiece

TIMEOUT_S = 600.0
"""Longest wait for the next piece; a large model on a slow machine takes minutes."""


REASONS: Mapping[str, FinishReason] = {"length": "length", "tool_calls": "tool_calls"}
"""Why answers end; other servers know further reasons, which are all ends."""


class CompletionStream:
    """Asks one server; every failure is a HextuneError that names it."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url

    def deltas(
        self, path: str, body: Mapping[str, Any], read: Callable[[Any], TextDelta]
    ) -> Generator[TextDelta]:
        """Pieces of one answer, the last with its counts; closing it hangs up."""
        reason, limit = "stop", body.get("max_tokens", sys.maxsize)
        usage: Mapping[str, Any] = {}
        asked = {**body, "stream": True, "stream_options": {"include_usage": True}}
        for chunk in self._chunks(path, asked):
            usage = chunk.get("usage") or usage
            for choice in chunk["choices"]:
                reason = choice.get("finish_reason") or reason
                delta = read(choice)
                if delta.text or delta.reasoning or delta.tool_calls or delta.logprobs:
                    yield delta
        yield TextDelta(
            text="",
            finish_reason=REASONS.get(reason, "stop"),
            prompt_tokens=int(usage.get("prompt_tokens", 0)),
            # vLLM draws a token, and counts it, where none was asked for
            completion_tokens=min(int(usage.get("completion_tokens", 0)), limit),
        )

    def _chunks(self, path: str, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        import httpx

        try:
            with self._client.stream("POST", f"{self._url}{path}", json=body) as reply:
                if reply.is_error:
                    reply.read()
                    raise self._refused(f"{reply.status_code} {reply.text[:200]}")
                yield from self._events(reply.iter_lines())
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise fail("server-unreachable", url=self._url, reason=error) from None

    def _events(self, lines: Iterator[str]) -> Iterator[dict[str, Any]]:
        for line in lines:
            text = line.removeprefix("data:").strip()
            if not line.startswith("data:") or text == "[DONE]":
                continue
            try:
                chunk = json.loads(text)
                _ = chunk["choices"]
            except (ValueError, LookupError, TypeError):
                raise self._refused(text[:200]) from None
            yield chunk

    def _refused(self, reason: str) -> HextuneError:
        return fail("server-refused", url=self._url, reason=reason)


def drawn_fields(sampling: Sampling) -> dict[str, Any]:
    """The fields that chat and other completions share; what asks for nothing is left out."""
    asked = {
        "stop": list(sampling.stop) or None,
        "seed": sampling.seed,
        "frequency_penalty": sampling.frequency_penalty or None,
        "presence_penalty": sampling.presence_penalty or None,
        "logit_bias": {str(token): bias for token, bias in sampling.logit_bias} or None,
        "response_format": response_format(sampling),
    }
    return {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        **{name: value for name, value in asked.items() if value is not None},
    }


def response_format(sampling: Sampling) -> dict[str, Any] | None:
    """What holds the answer, as OpenAI's API writes it."""
    if sampling.grammar is None:
        return None
    if sampling.grammar.schema is None:
        return {"type": "json_object"}
    schema = json.loads(sampling.grammar.schema)
    return {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": schema, "strict": True},
    }


def chat_body(request: GenerationRequest) -> dict[str, Any]:
    """A chat completion that asks the same."""
    sampling = request.sampling
    told = {"logprobs": True, "top_logprobs": sampling.logprobs}
    return {
        "model": request.model,
        "messages": wire_messages(request.conversation),
        **drawn_fields(sampling),
        **({} if sampling.max_tokens is None else {"max_tokens": sampling.max_tokens}),
        **({} if sampling.logprobs is None else told),
        **tool_fields(request),
    }


def tool_fields(request: GenerationRequest) -> dict[str, Any]:
    """The tools, and how they are to be used; what asks for nothing is left out."""
    tools, use = request.conversation.tools_as_json(), request.tool_use
    if tools is None:
        return {}
    named = {"type": "function", "function": {"name": use.name}}
    choice = {"tool_choice": named if use.name else "required"} if use.required else {}
    return {"tools": tools, **choice, **({} if use.parallel else {"parallel_tool_calls": False})}


def wire_messages(conversation: Conversation) -> list[dict[str, Any]]:
    """The turns as OpenAI's API has them: arguments are JSON text, results name no function."""
    turns = conversation.as_json()
    for turn in turns:
        turn.pop("name", None)
        for call in turn.get("tool_calls", ()):
            function = call["function"]
            call["function"] = {**function, "arguments": json.dumps(function["arguments"])}
    return turns


def completion_body(
    request: GenerationRequest, prompt: str | Sequence[int], limit: int
) -> dict[str, Any]:
    """A completion of a prompt that asks the same."""
    told = request.sampling.logprobs
    return {
        "model": request.model,
        "prompt": prompt if isinstance(prompt, str) else list(prompt),
        "max_tokens": limit,
        **drawn_fields(request.sampling),
        **({"echo": True} if request.echo else {}),
        **({} if told is None else {"logprobs": told}),
    }


def chat_delta(choice: Mapping[str, Any]) -> TextDelta:
    """A piece of a chat completion; thoughts go by either of two names."""
    delta, told = choice["delta"], choice.get("logprobs") or {}
    return TextDelta(
        text=delta.get("content") or "",
        reasoning=delta.get("reasoning") or delta.get("reasoning_content") or "",
        tool_calls=tuple(call_piece(each) for each in delta.get("tool_calls") or ()),
        logprobs=tuple(
            TokenLogprob(
                text=each["token"],
                logprob=each["logprob"],
                top=tuple((top["token"], top["logprob"]) for top in each["top_logprobs"]),
            )
            for each in told.get("content") or ()
        ),
    )


def call_piece(piece: Mapping[str, Any]) -> CallPiece:
    """A piece of a call."""
    function = piece.get("function") or {}
    name, arguments = function.get("name") or "", function.get("arguments") or ""
    return CallPiece(index=piece["index"], name=name, arguments=arguments)


def completion_delta(count: int) -> Callable[[Mapping[str, Any]], TextDelta]:
    """Reads pieces of a completion; a server may tell one token more than it was asked for."""

    def read(choice: Mapping[str, Any]) -> TextDelta:
        told = choice.get("logprobs") or {}
        names = ("tokens", "token_logprobs", "text_offset", "top_logprobs")
        rows = zip(*(told.get(name) or () for name in names), strict=True)
        return TextDelta(
            text=choice["text"],
            logprobs=tuple(
                TokenLogprob(text=text, logprob=logprob, offset=at, top=_best(top or {}, count))
                for text, logprob, at, top in rows
            ),
        )

    return read


def _best(top: Mapping[str, float], count: int) -> tuple[tuple[str, float], ...]:
    return tuple(sorted(top.items(), key=lambda pair: -pair[1])[:count])
