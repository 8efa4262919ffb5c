"""Chat completions over HTTP, asked by the official client."""

import json
import re
from collections.abc import Generator, Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import AsyncOpenAI, Stream
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from domain.conversation import Conversation, Message, Role
from domain.errors import fail
from domain.sampling import (
    GenerationRequest,
    Grammar,
    Sampling,
    TextDelta,
    TokenLogprob,
)
from tests.doors.http_server import ScriptedEngine, body, client, echo_engine, serving


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving(echo_engine()) as url:
        yield url


def ask(address: str, text: str, **fields: Any) -> ChatCompletion:
    said: Any = [{"role": "user", "content": text}]
    answer: ChatCompletion = client(address).chat.completions.create(
        model="echo-run", messages=said, **fields
    )
    return answer


def stream(address: str, text: str, **fields: Any) -> list[ChatCompletionChunk]:
    said: Any = [{"role": "user", "content": text}]
    pieces: Stream[ChatCompletionChunk] = client(address).chat.completions.create(
        model="echo-run", messages=said, stream=True, **fields
    )
    return list(pieces)


def joined(chunks: list[ChatCompletionChunk], index: int = 0) -> str:
    choices = [choice for chunk in chunks for choice in chunk.choices if choice.index == index]
    return "".join(choice.delta.content or "" for choice in choices)


def test_a_run_and_its_base_are_listed(address: str) -> None:
    models = list(client(address).models.list())
    assert [model.id for model in models] == ["echo-run", "fake"]
    assert [model.to_dict()["parent"] for model in models] == ["fake", None]


def test_one_model_is_retrieved_by_an_id_with_slashes_and_colons() -> None:
    engine = ScriptedEngine()
    served = engine.models()[0]
    object.__setattr__(served, "name", "org/base:v1")
    engine.models = lambda: [served]  # type: ignore[method-assign]
    with serving(engine) as address:
        assert client(address).models.retrieve("org/base:v1").id == "org/base:v1"
        assert httpx.get(f"{address}/v1/models/org/base:v1").json()["id"] == "org/base:v1"


def test_an_answer_is_whole(address: str) -> None:
    answer = ask(address, "one two three")
    assert re.fullmatch(r"chatcmpl-\w+", answer.id)
    assert answer.created == 1_700_000_000
    assert answer.model == "echo-run"
    assert answer.choices[0].message.content == "one two three"
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (3, 3)
    assert answer.usage.total_tokens == 6


def test_replies_have_every_field_of_the_official_types(address: str) -> None:
    reply = httpx.post(f"{address}/v1/chat/completions", json=body())
    ChatCompletion.model_validate(reply.json(), strict=True)
    assert reply.headers["content-type"] == "application/json"


def test_a_reply_can_be_sent_back(address: str) -> None:
    first = ask(address, "one")
    history = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "one"},
        first.choices[0].message.model_dump(),
        {"role": "user", "content": [{"type": "text", "text": t} for t in ("two ", "parts")]},
    ]
    second = client(address).chat.completions.create(model="fake", messages=history)  # type: ignore[arg-type]
    assert second.choices[0].message.content == "two parts"


def test_a_stream_is_byte_for_byte_openais(address: str) -> None:
    fields = body(stream=True, stream_options={"include_usage": True}, max_completion_tokens=2)
    reply = httpx.post(f"{address}/v1/chat/completions", json=fields)
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    head = (
        f'"id":"{re.findall("chatcmpl-[0-9a-f]+", reply.text)[0]}",'
        '"object":"chat.completion.chunk","created":1700000000,"model":"echo-run"'
    )

    def choice(delta: str, reason: str = "null") -> str:
        fields = f'"index":0,"delta":{delta},"logprobs":null,"finish_reason":{reason}'
        return f'data: {{{head},"choices":[{{{fields}}}],"usage":null}}\n\n'

    usage = '{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}'
    assert reply.text == (
        choice('{"role":"assistant","content":""}')
        + choice('{"content":"one"}')
        + choice('{"content":" two"}')
        + choice("{}", '"length"')
        + f'data: {{{head},"choices":[],"usage":{usage}}}\n\n'
        + "data: [DONE]\n\n"
    )


def test_usage_is_absent_from_a_stream_that_did_not_ask(address: str) -> None:
    with httpx.stream("POST", f"{address}/v1/chat/completions", json=body(stream=True)) as reply:
        events = [line[6:] for line in reply.iter_lines() if line]
    assert events.pop() == "[DONE]"
    for event in events:
        assert "usage" not in json.loads(event)
        ChatCompletionChunk.model_validate_json(event, strict=True)


@settings(max_examples=25, deadline=None)
@given(text=st.text(max_size=80), limit=st.integers(1, 12) | st.none())
def test_streamed_pieces_join_to_the_unstreamed_answer(
    address: str, text: str, limit: int | None
) -> None:
    whole = ask(address, text, max_completion_tokens=limit)
    chunks = stream(address, text, max_completion_tokens=limit)
    assert joined(chunks) == whole.choices[0].message.content
    assert chunks[-1].choices[0].finish_reason == whole.choices[0].finish_reason
    if limit is None:
        assert joined(chunks) == text


async def test_the_asynchronous_client_gets_the_same(address: str) -> None:
    async with AsyncOpenAI(base_url=f"{address}/v1", api_key="unused") as asked:
        said: Any = [{"role": "user", "content": "naïve 文字 🙂"}]
        whole = await asked.chat.completions.create(model="fake", messages=said)
        parts = await asked.chat.completions.create(model="fake", messages=said, stream=True)
        streamed = "".join([part.choices[0].delta.content or "" async for part in parts])
    assert whole.choices[0].message.content == streamed == "naïve 文字 🙂"


@pytest.mark.parametrize("limit", ["max_completion_tokens", "max_tokens"])
def test_a_limit_ends_an_answer(address: str, limit: str) -> None:
    answer = ask(address, "one two three", **{limit: 2})
    assert answer.choices[0].message.content == "one two"
    assert answer.choices[0].finish_reason == "length"


@pytest.mark.parametrize("stop", ["two", ["four", "two"]])
def test_stop_texts_end_an_answer(address: str, stop: object) -> None:
    assert ask(address, "one two three", stop=stop).choices[0].message.content == "one "


def test_several_choices(address: str) -> None:
    answer = ask(address, "one two", n=3)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert [choice.message.content for choice in answer.choices] == ["one two"] * 3
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (2, 6)


def test_several_streamed_choices_come_interleaved() -> None:
    engine = ScriptedEngine(["a", "b", "c", "d"], pause_s=0.05)
    with serving(engine) as address:
        chunks = stream(address, "x", n=2, stream_options={"include_usage": True})
    assert joined(chunks, 0) == joined(chunks, 1) == "abcd"
    order = [choice.index for chunk in chunks for choice in chunk.choices]
    assert order != sorted(order)
    assert order != sorted(order, reverse=True)
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 4


def test_the_most_choices_an_engine_can_be_asked_for(address: str) -> None:
    chunks = stream(address, "one", n=128)
    assert [joined(chunks, index) for index in range(128)] == ["one"] * 128


def test_the_engine_is_asked_for_what_the_request_says() -> None:
    engine = ScriptedEngine(["x"])
    with serving(engine) as address:
        asked = client(address).chat.completions.create(
            model="echo-run",
            messages=[
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Hello"},
            ],
            temperature=0,
            top_p=0.5,
            max_completion_tokens=7,
            stop=["a", "b"],
            seed=40,
            n=2,
            frequency_penalty=0.5,
            presence_penalty=-1,
            logit_bias={"7": -100},
            logprobs=True,
            top_logprobs=3,
            response_format={"type": "json_object"},
        )
    assert asked.choices[1].message.content == "x"
    said = (Message(Role.SYSTEM, "Be brief."), Message(Role.USER, "Hello"))
    assert [request.conversation for request in engine.requests] == [Conversation(said)] * 2
    expected = [
        Sampling(
            temperature=0,
            top_p=0.5,
            max_tokens=7,
            stop=("a", "b"),
            seed=seed,
            frequency_penalty=0.5,
            presence_penalty=-1,
            logit_bias=((7, -100),),
            logprobs=3,
            grammar=Grammar(),
        )
        for seed in (40, 41)
    ]
    assert sorted((r.sampling for r in engine.requests), key=lambda s: s.seed or 0) == expected


class Telling(ScriptedEngine):
    """Says what it thinks, and how sure it is."""

    def generate(self, request: GenerationRequest) -> Generator[TextDelta]:
        top = (("4", -0.1), ("\ufffd", -2.5))
        yield TextDelta(text="", reasoning="Let me ")
        yield TextDelta(text="", reasoning="see.")
        yield TextDelta(text="4", logprobs=(TokenLogprob(text="4", logprob=-0.1, top=top),))
        yield TextDelta(text="", finish_reason="stop", prompt_tokens=1, completion_tokens=4)


def test_thoughts_go_by_both_names_and_are_no_part_of_the_answer() -> None:
    with serving(Telling()) as address:
        message = ask(address, "x").choices[0].message
        assert message.content == "4"
        chunks = stream(address, "x")
    said = message.model_dump()
    assert said["reasoning"] == said["reasoning_content"] == "Let me see."
    deltas = [chunk.choices[0].delta.model_dump() for chunk in chunks]
    for name in ("reasoning", "reasoning_content"):
        assert "".join(delta.get(name) or "" for delta in deltas) == "Let me see."
    assert joined(chunks) == "4"


def test_log_probabilities_are_told_where_asked() -> None:
    with serving(Telling()) as address:
        assert ask(address, "x").choices[0].logprobs is None
        told = ask(address, "x", logprobs=True, top_logprobs=2).choices[0].logprobs
        chunks = stream(address, "x", logprobs=True, top_logprobs=2)
    assert told is not None
    (token,) = told.content or []
    assert (token.token, token.logprob, token.bytes) == ("4", -0.1, [52])
    assert [(each.token, each.bytes) for each in token.top_logprobs] == [
        ("4", [52]),
        ("\ufffd", None),
    ]
    streamed = [chunk.choices[0].logprobs for chunk in chunks if chunk.choices[0].logprobs]
    assert [each.content for each in streamed] == [told.content]


def test_an_engine_that_is_full_says_when_to_come_again() -> None:
    with serving(ScriptedEngine([fail("engine-busy", waiting=9)])) as address:
        reply = httpx.post(f"{address}/v1/chat/completions", json=body())
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "1")
    assert reply.json()["error"]["code"] == "engine-busy"


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"type": "json_schema"}, "response_format"),
        ({"type": "json_object", "json_schema": {"name": "a", "schema": {}}}, "response_format"),
        ({"type": "xml"}, "response_format.type"),
        ({"type": "json_schema", "json_schema": {"name": "", "schema": {}}}, None),
        ({"type": "json_schema", "json_schema": {"schema": {}}}, None),
    ],
)
def test_a_format_that_cannot_be_held_is_refused(
    address: str, value: dict[str, Any], where: str | None
) -> None:
    reply = httpx.post(f"{address}/v1/chat/completions", json=body(response_format=value))
    assert reply.status_code == 400
    param = reply.json()["error"]["param"]
    assert param == where if where else param.startswith("response_format.json_schema.name")
