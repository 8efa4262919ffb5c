"""Tools asked of another server: what it is sent, and the calls that come back."""

from typing import Any

import pytest

from adapters.remote_engine import RemoteEngine
from domain.conversation import Conversation, Message, Role, ToolCall
from domain.sampling import GenerationRequest
from domain.tool_use import FREELY, CallPiece, ToolUse
from tests.doors.http_server import ScriptedEngine, echo_engine, serving

ADD: Any = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
CALL = '<tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>'


def asking(*messages: Message, use: ToolUse = FREELY) -> GenerationRequest:
    return GenerationRequest(
        model="echo-run", conversation=Conversation(messages, (ADD,)), tool_use=use
    )


def test_calls_come_back_as_they_are_streamed() -> None:
    with serving(echo_engine()) as address:
        engine = RemoteEngine(f"{address}/v1", "echo-run", None)
        deltas = list(engine.generate(asking(Message(Role.USER, CALL))))
        engine.close()
    assert [piece for delta in deltas for piece in delta.tool_calls] == [
        CallPiece(index=0, name="add"),
        CallPiece(index=0, arguments='{"a": 1}'),
    ]
    assert "".join(delta.text for delta in deltas) == ""
    assert deltas[-1].finish_reason == "tool_calls"


@pytest.mark.parametrize(
    "use",
    [
        ToolUse(),
        ToolUse(required=True),
        ToolUse(required=True, name="add"),
        ToolUse(parallel=False),
    ],
)
def test_the_other_server_is_asked_for_the_same(use: ToolUse) -> None:
    made = Message(Role.ASSISTANT, "", (ToolCall("add", {"a": 1}),))
    said = (Message(Role.USER, "one"), made, Message(Role.TOOL, "2"))
    other = ScriptedEngine(["x"])
    with serving(other) as address:
        engine = RemoteEngine(f"{address}/v1", "echo-run", None)
        list(engine.generate(asking(*said, use=use)))
        engine.close()
    (asked,) = other.requests
    assert asked.conversation == Conversation(said, (ADD,))
    assert asked.tool_use == use
