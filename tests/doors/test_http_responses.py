"""`/v1/responses`: whole, streamed, kept, gone on from; driven by the official client."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from domain.conversation import Role
from domain.errors import HextuneError, fail
from domain.tool_use import ToolUse
from entrypoints.http_api.response_store import ResponseStore
from entrypoints.http_api.schema.fields import Treatment
from entrypoints.http_api.schema.response_fields import RESPONSE_FIELDS
from entrypoints.http_api.schema.responses import ResponseBody, read_response
from tests.doors.http_server import ScriptedEngine, client, echo_engine, serving
from tests.doors.openai_spec import fields_of

ADD: Any = {
    "type": "function",
    "name": "add",
    "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
}
CALL = '<tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>'
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving(echo_engine()) as running:
        yield running


def post(address: str, **fields: Any) -> httpx.Response:
    values = {"model": "echo-run", "input": "one two", **fields}
    return httpx.post(f"{address}/v1/responses", json=values)


def refused(**fields: Any) -> list[tuple[str | None, str]]:
    with pytest.raises(HextuneError) as caught:
        read_response({"model": "m", "input": "x", **fields}).generation([])
    return [(found.place.field, found.code) for found in caught.value.problems]


def test_every_field_of_openais_api_is_classified() -> None:
    official = fields_of("CreateResponse")
    assert len(official) > 25
    assert set(RESPONSE_FIELDS) == official


def test_the_honoured_fields_are_those_that_are_read() -> None:
    honoured = {n for n, rule in RESPONSE_FIELDS.items() if rule.treatment is Treatment.HONOURED}
    assert honoured == set(ResponseBody.model_fields)


@pytest.mark.parametrize(
    "field", [n for n, r in RESPONSE_FIELDS.items() if r.treatment is not Treatment.HONOURED]
)
def test_what_asks_for_something_else_is_refused_by_name(field: str) -> None:
    assert refused(**{field: "x"}) == [(field, "request-unsupported-field")]


def test_a_response_is_whole(address: str) -> None:
    made = client(address).responses.create(
        model="echo-run", input="hello there", instructions="Be brief.", metadata={"a": "b"}
    )
    assert made.output_text == "hello there"
    assert (made.status, made.instructions, made.metadata) == ("completed", "Be brief.", {"a": "b"})
    assert made.usage
    assert (made.usage.input_tokens, made.usage.output_tokens) == (4, 2)


@pytest.mark.parametrize("said", ["hello there", f"Well. {CALL}", ""])
def test_replies_are_valid_by_the_official_types(address: str, said: str) -> None:
    asked = [{"role": "user", "content": [{"type": "input_text", "text": said}]}]
    reply = post(address, input=asked, tools=[ADD], max_output_tokens=50)
    Response.model_validate(reply.json(), strict=True)
    # OpenAI's own replies tell `store`, which the client's types leave out.
    assert Response.model_validate(reply.json()).model_extra == {"store": True}


def events(address: str, **fields: Any) -> list[dict[str, Any]]:
    """The events of a stream, each checked to stand under its own name."""
    blocks = post(address, stream=True, **fields).text.strip().split("\n\n")
    found = []
    for block in blocks:
        name, data = block.split("\n")
        value = json.loads(data.removeprefix("data: "))
        assert name == f"event: {value['type']}"
        found.append(value)
    return found


def test_a_stream_of_text_has_openais_events_in_their_order(address: str) -> None:
    found = events(address)
    assert [each["type"].removeprefix("response.") for each in found] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert [each["sequence_number"] for each in found] == list(range(len(found)))
    for each in found:
        EVENT.validate_python(each)


def test_a_stream_of_calls_has_openais_events_in_their_order(address: str) -> None:
    found = events(address, input=CALL, tools=[ADD])
    assert [each["type"].removeprefix("response.") for each in found[2:]] == [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    for each in found:
        EVENT.validate_python(each)
    assert found[2]["item"]["arguments"] == ""
    assert found[-1]["response"]["output"][0]["arguments"] == '{"a": 1}'


SPOKEN = st.lists(st.text(max_size=20) | st.sampled_from([CALL, CALL[:20], CALL[11:], "🙂 文"]))


@settings(max_examples=25, deadline=None)
@given(said=SPOKEN, limit=st.none() | st.integers(1, 6), with_tools=st.booleans())
def test_streamed_pieces_join_to_the_unstreamed_response(
    address: str, said: list[str], limit: int | None, with_tools: bool
) -> None:
    asked = {"input": "".join(said), "tools": [ADD] if with_tools else []}
    whole = post(address, max_output_tokens=limit, **asked).json()
    found = events(address, max_output_tokens=limit, **asked)
    assert found[-1]["type"] == f"response.{whole['status']}"
    assert found[-1]["response"]["usage"] == whole["usage"]
    output = [contents(item) for item in whole["output"]]
    assert [contents(item) for item in found[-1]["response"]["output"]] == output
    deltas = [""] * len(output)
    for each in found:
        if each["type"].endswith(".delta"):
            deltas[each["output_index"]] += each["delta"]
    assert deltas == [text for _, text, _ in output]
    if limit is None and not with_tools:
        assert deltas == [asked["input"]]


def contents(item: dict[str, Any]) -> tuple[str, str, str]:
    """(kind, what it says, how it ended): all of an item but its ids."""
    if item["type"] == "function_call":
        return item["name"], item["arguments"], item["status"]
    return item["type"], "".join(part["text"] for part in item["content"]), item["status"]


def test_the_official_client_gathers_a_stream(address: str) -> None:
    with client(address).responses.stream(model="echo-run", input="one two three") as stream:
        final = stream.get_final_response()
    assert final.output_text == "one two three"


def test_a_limit_leaves_a_response_incomplete(address: str) -> None:
    made = client(address).responses.create(model="echo-run", input="a b c", max_output_tokens=1)
    assert (made.status, made.output_text) == ("incomplete", "a")
    assert made.incomplete_details
    assert made.incomplete_details.reason == "max_output_tokens"
    last = events(address, max_output_tokens=1)[-1]
    assert last["type"] == "response.incomplete"


def test_a_kept_response_is_retrieved_and_deleted(address: str) -> None:
    asked = client(address).responses
    made = asked.create(model="echo-run", input="x")
    assert asked.retrieve(made.id) == made
    asked.delete(made.id)
    for ask in (asked.retrieve, asked.delete):
        with pytest.raises(openai.NotFoundError) as caught:
            ask(made.id)
        assert caught.value.code == "response-missing"


def test_a_streamed_response_is_kept_too(address: str) -> None:
    last = events(address)[-1]["response"]
    kept = client(address).responses.retrieve(last["id"])
    assert kept.output_text == "one two"


def test_one_that_is_not_to_be_stored_is_not(address: str) -> None:
    made = client(address).responses.create(model="echo-run", input="x", store=False)
    with pytest.raises(openai.NotFoundError):
        client(address).responses.retrieve(made.id)


def test_a_response_goes_on_from_an_earlier_one() -> None:
    engine = ScriptedEngine(["Paris."])
    with serving(engine) as address:
        asked = client(address).responses
        first = asked.create(model="echo-run", input="The capital?", instructions="Brief.")
        second = asked.create(model="echo-run", input="Sure?", previous_response_id=first.id)
        asked.create(model="echo-run", input="Really?", previous_response_id=second.id)
    said = [
        [(m.role.value, m.content) for m in request.conversation.messages]
        for request in engine.requests
    ]
    assert said[0] == [("system", "Brief."), ("user", "The capital?")]
    assert said[1] == [("user", "The capital?"), ("assistant", "Paris."), ("user", "Sure?")]
    assert said[2] == [*said[1], ("assistant", "Paris."), ("user", "Really?")]


def test_an_earlier_one_that_is_gone_is_told_by_name(address: str) -> None:
    error = post(address, previous_response_id="resp_x").json()["error"]
    assert (error["code"], error["param"]) == ("response-missing", "previous_response_id")


def test_a_called_function_is_answered_in_the_next_response(address: str) -> None:
    asked = client(address).responses
    first = asked.create(model="echo-run", input=CALL, tools=[{**ADD, "strict": True}])  # type: ignore[list-item]
    (call,) = first.output
    assert call.type == "function_call"
    output: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "two"}
    second = asked.create(model="echo-run", input=[output], previous_response_id=first.id)
    assert second.output_text == "two"
    alone = post(address, input=[output])
    assert alone.json()["error"]["param"] == "input"


def test_items_of_a_reply_can_be_sent_back() -> None:
    items: list[dict[str, Any]] = [
        {"role": "user", "content": "one"},
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "Hm."}],
        },
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "So.", "annotations": [], "logprobs": []}],
        },
        {"type": "function_call", "call_id": "a", "name": "add", "arguments": '{"a": 1}'},
        {"type": "function_call", "call_id": "b", "name": "add", "arguments": '{"a": 2}'},
        {"type": "function_call_output", "call_id": "b", "output": "3"},
        {
            "type": "function_call_output",
            "call_id": "a",
            "output": [{"type": "input_text", "text": "2"}],
        },
    ]
    asked = read_response({"model": "m", "input": items}).generation([]).conversation.messages
    assert [m.role for m in asked] == [Role.USER, Role.ASSISTANT, Role.TOOL, Role.TOOL]
    assert (asked[1].content, asked[1].reasoning) == ("So.", "Hm.")
    assert [call.arguments for call in asked[1].tool_calls] == [{"a": 1}, {"a": 2}]
    assert [m.content for m in asked[2:]] == ["2", "3"]


def test_the_engine_is_asked_for_what_the_request_says() -> None:
    schema = {"type": "object"}
    form = {"type": "json_schema", "name": "x", "schema": schema}
    body = read_response(
        {
            "model": "m",
            "input": "x",
            "temperature": 0.5,
            "top_p": 0.9,
            "max_output_tokens": 7,
            "text": {"format": form},
        }
    )
    sampling = body.generation([]).sampling
    assert (sampling.temperature, sampling.top_p, sampling.max_tokens) == (0.5, 0.9, 7)
    assert sampling.grammar
    assert json.loads(sampling.grammar.schema or "") == schema
    choice = {"type": "function", "name": "add"}
    asked = read_response({"model": "m", "input": "x", "tools": [ADD], "tool_choice": choice})
    request = asked.generation([])
    assert request.tool_use == ToolUse(required=True, name="add")
    (tool,) = request.conversation.tools
    function = {"name": "add", "parameters": ADD["parameters"], "strict": True}
    assert tool == {"type": "function", "function": function}


BAD: dict[str, tuple[dict[str, Any], tuple[str, str]]] = {
    "no-role": ({"input": [{"content": "x"}]}, ("input[0]", "request-bad-field")),
    "image": (
        {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
        ("input[0].content[0].type", "request-bad-field"),
    ),
    "item-unknown": (
        {"input": [{"type": "web_search_call"}]},
        ("input[0].type", "request-bad-field"),
    ),
    "item-field": (
        {"input": [{"role": "user", "content": "x", "name": "me"}]},
        ("input[0].name", "request-unsupported-field"),
    ),
    "tool-unknown": (
        {"tools": [{**ADD, "type": "web_search"}]},
        ("tools[0].type", "request-bad-field"),
    ),
    "tool-twice": ({"tools": [ADD, ADD]}, ("tools[1].name", "request-bad-field")),
    "choice-of-none": (
        {"tools": [ADD], "tool_choice": {"type": "function", "name": "f"}},
        ("tool_choice.name", "request-bad-field"),
    ),
    "format-and-tools": (
        {"tools": [ADD], "text": {"format": {"type": "json_object"}}},
        ("text.format", "request-bad-field"),
    ),
    "format-without-schema": (
        {"text": {"format": {"type": "json_schema", "name": "x"}}},
        ("text.format", "request-bad-field"),
    ),
    "verbosity": ({"text": {"verbosity": "low"}}, ("text.verbosity", "request-unsupported-field")),
    "ends-with-the-assistant": (
        {"input": [{"role": "assistant", "content": "x"}]},
        ("input", "request-bad-field"),
    ),
    "nothing": ({"input": []}, ("input", "request-bad-field")),
}


@pytest.mark.parametrize(("fields", "found"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_told_by_its_place(fields: dict[str, Any], found: tuple[str, str]) -> None:
    told = refused(**fields)
    assert found in told
    assert {field for field, _ in told} <= {found[0], "input[0].content[0].text"}


def test_an_answer_that_breaks_off_ends_with_an_error_event() -> None:
    with serving(ScriptedEngine(["one ", fail("engine-busy", waiting=3)])) as address:
        found = events(address)
    assert found[-1]["type"] == "error"
    assert (found[-1]["code"], found[-1]["sequence_number"]) == ("engine-busy", len(found) - 1)
    EVENT.validate_python(found[-1])


def test_the_oldest_go_where_there_is_no_room() -> None:
    store = ResponseStore(limit_bytes=100)
    for number in range(5):
        store.add({"id": f"resp_{number}"}, [{"text": "x" * 10}])
    assert store.get("resp_4").reply == {"id": "resp_4"}
    with pytest.raises(HextuneError):
        store.get("resp_0")
    store.remove("resp_4")
    store.add({"id": "large"}, [{"text": "x" * 200}])
    with pytest.raises(HextuneError):
        store.get("large")
