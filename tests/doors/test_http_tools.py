"""Tools in chat completions: what is asked of the engine, and what clients get back."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.conversation import Role
from domain.errors import HextuneError
from domain.tool_use import ToolUse
from entrypoints.http_api.schema.chat import read_chat
from tests.doors.http_server import ScriptedEngine, body, client, echo_engine, serving

ADD: Any = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Adds two numbers.",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
        "strict": True,
    },
}
NOW: Any = {"type": "function", "function": {"name": "now"}}
NAMED = {"type": "function", "function": {"name": "add"}}
USER = {"role": "user", "content": "one"}


def written(name: str, **arguments: Any) -> str:
    """A call as the echo engine reads it."""
    call = json.dumps({"name": name, "arguments": arguments})
    return f"<tool_call>\n{call}\n</tool_call>"


def call(id: str, name: str, arguments: str = "{}") -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def called(*calls: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": list(calls)}


def result(id: str, text: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id, "content": text}


def mistakes(**fields: Any) -> list[str | None]:
    with pytest.raises(HextuneError) as caught:
        read_chat(body(**fields))
    return [found.place.field for found in caught.value.problems]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving(echo_engine()) as running:
        yield running


def test_calls_are_apart_from_the_text(address: str) -> None:
    said = f"Let me see.\n{written('add', a=1)}\n{written('now')}"
    answer = client(address).chat.completions.create(
        model="echo-run", messages=[{"role": "user", "content": said}], tools=[ADD, NOW]
    )
    (choice,) = answer.choices
    assert (choice.message.content, choice.finish_reason) == ("Let me see.", "tool_calls")
    calls = choice.message.tool_calls or []
    assert [each.function.name for each in calls if each.type == "function"] == ["add", "now"]
    assert [each.function.arguments for each in calls if each.type == "function"] == [
        '{"a": 1}',
        "{}",
    ]
    assert len({each.id for each in calls}) == 2
    assert all(each.id.startswith("call_") for each in calls)


def test_an_answer_of_calls_alone_has_no_content(address: str) -> None:
    asked = [{"role": "user", "content": written("now")}]
    url = f"{address}/v1/chat/completions"
    reply = httpx.post(url, json=body(messages=asked, tools=[NOW])).json()
    message = reply["choices"][0]["message"]
    assert message["content"] is None
    assert set(message["tool_calls"][0]) == {"id", "type", "function"}


def test_streamed_calls_join_to_the_unstreamed_ones(address: str) -> None:
    said = f"Well. {written('add', a=1)} {written('add', a=2)}"
    with client(address).chat.completions.stream(
        model="echo-run", messages=[{"role": "user", "content": said}], tools=[ADD]
    ) as stream:
        (choice,) = stream.get_final_completion().choices
    calls = choice.message.tool_calls or []
    assert [each.function.arguments for each in calls] == ['{"a": 1}', '{"a": 2}']
    assert (choice.message.content, choice.finish_reason) == ("Well.", "tool_calls")


def test_a_stream_names_the_call_before_its_arguments(address: str) -> None:
    stream = client(address).chat.completions.create(
        model="echo-run",
        messages=[{"role": "user", "content": written("add", a=1)}],
        tools=[ADD],
        stream=True,
    )
    pieces = [
        piece.model_dump(exclude_none=True)
        for chunk in stream
        for choice in chunk.choices
        for piece in choice.delta.tool_calls or ()
    ]
    id = pieces[0].pop("id")
    assert id.startswith("call_")
    assert pieces == [
        {"index": 0, "type": "function", "function": {"name": "add", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"a": 1}'}},
    ]


CALLS = [written("add", a=1), written("now"), "<tool_call>", written("add", a="文 🙂")[11:]]


@settings(max_examples=20, deadline=None)
@given(said=st.lists(st.text(max_size=20) | st.sampled_from(CALLS)))
def test_streamed_pieces_join_to_the_unstreamed_calls(address: str, said: list[str]) -> None:
    messages = [{"role": "user", "content": "".join(said)}]
    asked = body(messages=messages, tools=[ADD, NOW])
    message = httpx.post(f"{address}/v1/chat/completions", json=asked).json()["choices"][0]
    text, calls = "", dict[int, tuple[str, str]]()
    for chunk in client(address).chat.completions.create(**asked, stream=True):
        delta = chunk.choices[0].delta
        text += delta.content or ""
        for piece in delta.tool_calls or ():
            name, arguments = calls.get(piece.index, ("", ""))
            name += piece.function.name or ""
            calls[piece.index] = name, arguments + (piece.function.arguments or "")
    assert text == (message["message"]["content"] or "")
    whole = [call["function"] for call in message["message"].get("tool_calls", ())]
    assert [calls[index] for index in sorted(calls)] == [(w["name"], w["arguments"]) for w in whole]
    assert chunk.choices[0].finish_reason == message["finish_reason"]


@pytest.mark.parametrize("tools", [{}, {"tools": [ADD], "tool_choice": "none"}])
def test_without_tools_everything_is_text(address: str, tools: dict[str, Any]) -> None:
    said = written("add", a=1)
    answer = client(address).chat.completions.create(
        model="echo-run", messages=[{"role": "user", "content": said}], **tools
    )
    assert answer.choices[0].message.content == said
    assert (answer.choices[0].message.tool_calls, answer.choices[0].finish_reason) == (None, "stop")


def test_one_call_where_they_may_not_be_parallel(address: str) -> None:
    said = f"{written('add', a=1)} {written('add', a=2)}"
    answer = client(address).chat.completions.create(
        model="echo-run",
        messages=[{"role": "user", "content": said}],
        tools=[ADD],
        parallel_tool_calls=False,
    )
    assert len(answer.choices[0].message.tool_calls or []) == 1


def test_an_answer_with_calls_can_be_sent_back(address: str) -> None:
    asked: list[Any] = [{"role": "user", "content": written("now")}]
    answer = client(address).chat.completions.create(model="echo-run", messages=asked, tools=[NOW])
    message = answer.choices[0].message
    assert message.tool_calls
    asked += [message, {**result(message.tool_calls[0].id, "noon")}]
    again = client(address).chat.completions.create(model="echo-run", messages=asked, tools=[NOW])
    assert again.choices[0].message.content == "noon"


CHOICES: list[tuple[dict[str, Any], ToolUse]] = [
    ({}, ToolUse()),
    ({"tool_choice": "auto"}, ToolUse()),
    ({"tool_choice": "required"}, ToolUse(required=True)),
    ({"tool_choice": NAMED}, ToolUse(required=True, name="add")),
    ({"parallel_tool_calls": False}, ToolUse(parallel=False)),
]


@pytest.mark.parametrize(("fields", "use"), CHOICES)
def test_the_engine_is_told_how_tools_are_to_be_used(fields: dict[str, Any], use: ToolUse) -> None:
    engine = ScriptedEngine(["x"])
    with serving(engine) as address:
        url = f"{address}/v1/chat/completions"
        assert httpx.post(url, json=body(tools=[ADD, NOW], **fields)).status_code == 200
    (asked,) = engine.requests
    assert asked.tool_use == use
    assert asked.conversation.tools == (ADD, NOW)


def test_results_are_bound_by_id_whatever_their_order() -> None:
    said = [
        USER,
        called(call("x", "add", '{"a": 1}'), call("y", "now")),
        result("y", "noon"),
        result("x", "2"),
    ]
    conversation = read_chat(body(messages=said)).generations[0].conversation
    assert [m.content for m in conversation.messages if m.role is Role.TOOL] == ["2", "noon"]
    turns = conversation.as_json()
    assert [turn["name"] for turn in turns if turn["role"] == "tool"] == ["add", "now"]
    assert turns[1]["tool_calls"][0]["function"]["arguments"] == {"a": 1}


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "not-a-function": ({"tools": [{**NOW, "type": "custom"}]}, "tools[0].type"),
    "two-of-a-name": ({"tools": [ADD, ADD]}, "tools[1].function.name"),
    "choice-unknown": (
        {"tools": [NOW], "tool_choice": NAMED},
        "tool_choice.function.name",
    ),
    "required-of-none": ({"tool_choice": "required"}, "tool_choice"),
    "parallel-of-none": ({"parallel_tool_calls": True}, "parallel_tool_calls"),
    "format-too": (
        {"tools": [NOW], "response_format": {"type": "json_object"}},
        "response_format",
    ),
    "no-call-id": ({"messages": [USER, {"role": "tool", "content": "x"}]}, "messages[1]"),
    "call-id-of-the-user": ({"messages": [{**USER, "tool_call_id": "x"}]}, "messages[0]"),
    "calls-of-the-user": ({"messages": [{**USER, "tool_calls": [call("x", "f")]}]}, "messages[0]"),
    "no-call-under-it": ({"messages": [USER, result("x", "1")]}, "messages[1].tool_call_id"),
    "answered-twice": (
        {"messages": [USER, called(call("x", "f")), result("x", "1"), result("x", "1")]},
        "messages[3].tool_call_id",
    ),
    "never-answered": (
        {"messages": [USER, called(call("x", "f")), USER]},
        "messages[1].tool_calls",
    ),
    "one-id-twice": (
        {"messages": [USER, called(call("x", "f"), call("x", "f")), result("x", "1")]},
        "messages[1].tool_calls",
    ),
    "arguments-no-json": (
        {"messages": [USER, called(call("x", "f", "{")), result("x", "1")]},
        "messages[1].tool_calls[0].function.arguments",
    ),
    "arguments-a-list": (
        {"messages": [USER, called(call("x", "f", "[]")), result("x", "1")]},
        "messages[1].tool_calls[0].function.arguments",
    ),
}


@pytest.mark.parametrize(("fields", "where"), BAD.values(), ids=BAD)
def test_what_does_not_go_together_is_told_by_its_place(fields: dict[str, Any], where: str) -> None:
    assert mistakes(**fields) == [where]


@pytest.mark.parametrize("key", ["name", "type"])
def test_unknown_fields_of_tools_are_refused_by_name(key: str) -> None:
    tool = {"type": "function", "function": {"name": "f", "x" + key: 1}}
    assert mistakes(tools=[tool]) == [f"tools[0].function.x{key}"]
