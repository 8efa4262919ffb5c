"""OpenAI messages: tool calls, content parts, reasoning, flags, rankings, results."""

import json
from typing import Any

import pytest

from domain.conversation import Message, Role, ToolCall
from domain.dataset import DatasetKind, Media, StandardRow
from tests.domain.aligning import (
    CHAT,
    FRAMED,
    TOOL,
    assistant,
    fault,
    row,
    system,
    tool,
    user,
)

ASKED = {"role": "user", "content": "Q"}
TOLD = {"role": "assistant", "content": "A"}


def said(*messages: dict[str, Any], **columns: Any) -> dict[str, Any]:
    return {"messages": list(messages), **columns}


def answer(**turn: Any) -> Message:
    """The answer to Q as aligned, `turn` being its keys."""
    found = row(said(ASKED, {"role": "assistant", **turn}), "openai")
    return found.responses[0]


def answer_fault(**turn: Any) -> tuple[str, str]:
    return fault(said(ASKED, {"role": "assistant", **turn}), "openai")


def test_every_role_is_known() -> None:
    values = said(
        {"role": "developer", "content": "D"},
        ASKED,
        {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f"}}]},
        {"role": "tool", "tool_call_id": "1", "content": "t"},
        {"role": "function", "name": "f", "content": "u"},
        TOLD,
        tools=[FRAMED],
    )
    assert row(values, "openai") == StandardRow(
        kind=CHAT,
        prompt=(
            system("D"),
            user("Q"),
            assistant("", tool_calls=(ToolCall("f", {}),)),
            tool("t"),
            tool("u"),
        ),
        responses=(assistant("A"),),
        tools=(FRAMED,),
    )


ARGUMENTS: dict[str, Any] = {"what": 'a "b" ж', "n": [1, {"deep": None}]}


@pytest.mark.parametrize("times", [0, 1, 2, 3])
def test_arguments_are_one_object_however_often_they_were_encoded(times: int) -> None:
    written: Any = ARGUMENTS
    for _ in range(times):
        written = json.dumps(written)
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": written}}
    found = answer(tool_calls=[call])
    assert found.tool_calls == (ToolCall("f", ARGUMENTS),)
    shown = found.as_json()["tool_calls"]
    assert shown == [{"type": "function", "function": {"name": "f", "arguments": ARGUMENTS}}]


@pytest.mark.parametrize("nothing", ["", '""', "{}", {}])
def test_no_arguments_are_an_empty_object(nothing: Any) -> None:
    call = {"function": {"name": "f", "arguments": nothing}}
    assert answer(tool_calls=[call]).tool_calls == (ToolCall("f", {}),)


def test_tool_calls_may_be_json_text_as_a_whole() -> None:
    calls = json.dumps([{"function": {"name": "f", "arguments": "{}"}}, {"name": "g"}])
    assert answer(tool_calls=calls).tool_calls == (ToolCall("f", {}), ToolCall("g", {}))


def test_content_and_tool_calls_may_stand_together() -> None:
    found = answer(content="Let me look.", tool_calls=[{"function": {"name": "f"}}])
    assert found == assistant("Let me look.", tool_calls=(ToolCall("f", {}),))


def test_content_parts_are_put_together_in_order() -> None:
    parts = [
        {"type": "reasoning", "value": "hm"},
        {"type": "text", "text": "one "},
        {"type": "text", "value": "two"},
        {"type": "text", "text": None, "value": " three"},
        {"type": "tool_call", "value": {"name": "f", "arguments": "{}"}},
    ]
    assert answer(content=parts) == assistant(
        "one two three", reasoning="hm", tool_calls=(ToolCall("f", {}),)
    )


def test_reasoning_may_stand_beside_the_content() -> None:
    found = answer(content="A", reasoning_content="hm")
    assert found == assistant("A", reasoning="hm")
    assert found.as_json()["reasoning_content"] == "hm"
    assert answer(content="A", reasoning_content="").reasoning is None
    assert answer(content="A", reasoning_content=None).reasoning is None


def test_reasoning_that_is_given_twice_is_a_fault() -> None:
    parts = [{"type": "reasoning", "value": "a"}, {"type": "text", "text": "A"}]
    place = "messages[1].reasoning_content"
    assert answer_fault(content=parts, reasoning_content="b") == (
        place,
        "the content holds reasoning too",
    )


@pytest.mark.parametrize(
    ("flags", "trained"),
    [
        ({}, None),
        ({"train": None, "loss_weight": None}, None),
        ({"train": True}, True),
        ({"train": False}, False),
        ({"loss_weight": 0}, False),
        ({"loss_weight": 1.0}, True),
        ({"weight": 0}, False),
        ({"train": True, "loss_weight": 0}, True),
    ],
)
def test_a_turn_may_say_whether_it_is_trained(flags: dict[str, Any], trained: bool | None) -> None:
    assert answer(content="A", **flags).trained is trained


def test_the_weight_of_a_question_says_nothing() -> None:
    found = row(said({**ASKED, "weight": 1}, TOLD), "openai")
    assert found.prompt == (user("Q"),)


@pytest.mark.parametrize(
    ("flags", "field", "reason"),
    [
        ({"train": 1}, "train", "it is not true or false"),
        ({"train": "false"}, "train", "it is not true or false"),
        ({"loss_weight": 0.5}, "loss_weight", "it is neither 0 nor 1"),
        ({"loss_weight": float("nan")}, "loss_weight", "it is neither 0 nor 1"),
        ({"weight": "1"}, "loss_weight", "it is neither 0 nor 1"),
        ({"weight": [1]}, "loss_weight", "it is neither 0 nor 1"),
    ],
)
def test_a_flag_that_is_not_clear_is_a_fault(
    flags: dict[str, Any], field: str, reason: str
) -> None:
    assert answer_fault(content="A", **flags) == (f"messages[1].{field}", reason)


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "1.png"}},
        {"type": "image_url", "image_url": "1.png"},
        {"type": "image", "path": "1.png"},
        {"type": "image", "value": "1.png"},
        {"type": "image", "image": {"path": "1.png"}, "text": None},
    ],
)
def test_media_inside_content_leave_a_placeholder(part: dict[str, Any]) -> None:
    content = [part, {"type": "text", "text": "what?"}, {"type": "audio", "audio": "2.wav"}]
    found = row(said({"role": "user", "content": content}, TOLD), "openai")
    assert found.prompt == (user("<image>what?<audio>"),)
    assert found.media == Media(images=("1.png",), audios=("2.wav",))


def test_parts_may_only_say_where_the_media_of_a_column_stand() -> None:
    content = [{"type": "image"}, {"type": "text", "text": "and"}, {"type": "image", "image": None}]
    values = said({"role": "user", "content": content}, TOLD)
    found = row({**values, "images": ["1.png", "2.png"]}, "openai")
    assert found.prompt == (user("<image>and<image>"),)
    assert found.media == Media(images=("1.png", "2.png"))
    reason = "the text has 2 <image> and there are 0 files"
    assert fault(values, "openai") == ("images", reason)


def test_media_in_parts_and_in_columns_is_a_fault() -> None:
    content = [{"type": "image", "image": "1.png"}]
    values = said({"role": "user", "content": content}, TOLD, images=["2.png"])
    assert fault(values, "openai") == (
        "messages",
        "media stand in content parts and in columns too",
    )


@pytest.mark.parametrize(
    ("content", "field", "reason"),
    [
        (5, "", "it is a number, not text"),
        ({"text": "A"}, "", "it is a mapping, not text"),
        ("a\0", "", "it holds a NUL byte"),
        ("\ud83d", "", "it holds half of a character"),
        (["A"], "[0]", "it is text, not a content part"),
        ([{}], "[0].type", "None is no part that can be trained on"),
        ([{"type": "refusal"}], "[0].type", "'refusal' is no part that can be trained on"),
        ([{"type": ["text"]}], "[0].type", "['text'] is no part that can be trained on"),
        ([{"type": "text", "text": 3}], "[0]", "it is a number, not text"),
        ([{"type": "text", "text": "\0"}], "[0]", "it holds a NUL byte"),
        ([{"type": "reasoning", "value": []}], "[0]", "it is a list, not text"),
        ([{"type": "tool_call"}], "[0]", "a tool call has no name"),
        ([{"type": "image", "image": 3}], "[0]", "there is no path in it"),
        ([{"type": "image", "image": {"bytes": "x"}}], "[0]", "there is no path in it"),
        ([{"type": "image", "image": ""}], "[0]", "there is no path in it"),
    ],
)
def test_faulty_content_says_where_and_why(content: Any, field: str, reason: str) -> None:
    assert answer_fault(content=content) == (f"messages[1].content{field}", reason)


@pytest.mark.parametrize(
    ("values", "field", "reason"),
    [
        ({}, "messages", "it is missing, not a list of messages"),
        ({"messages": "Q"}, "messages", "it is text, not a list of messages"),
        ({"messages": {"role": "user"}}, "messages", "it is a mapping, not a list of messages"),
        (said(), "messages", "there are no turns"),
        ({"messages": [None]}, "messages[0]", "it is missing, not a message"),
        ({"messages": [["user", "Q"]]}, "messages[0]", "it is a list, not a message"),
        (
            said({"role": "human", "content": "Q"}),
            "messages[0].role",
            "'human' is none of system, user, assistant, tool, developer, function",
        ),
        (
            said({"role": ["user"], "content": "Q"}),
            "messages[0].role",
            "['user'] is none of system, user, assistant, tool, developer, function",
        ),
        (said(ASKED), "messages", "the last turn is not the assistant's"),
        (said(ASKED, {"role": "assistant"}), "messages", "turn 2 is empty"),
        (said(ASKED, {**TOLD, "tool_calls": []}, system=3), "system", "it is a number, not text"),
        (
            said({**ASKED, "tool_calls": [{"name": "f"}]}, TOLD),
            "messages[0].tool_calls",
            "only the assistant calls tools",
        ),
        (
            said(ASKED, {**TOLD, "tool_calls": 4}),
            "messages[1].tool_calls",
            "a tool call has no name",
        ),
        (
            said(ASKED, {**TOLD, "tool_calls": [{"function": {"name": "f", "arguments": "["}}]}),
            "messages[1].tool_calls.arguments",
            "it is not JSON: Expecting value at column 2",
        ),
        (
            said(ASKED, {**TOLD, "reasoning_content": 1}),
            "messages[1].reasoning_content",
            "it is a number, not text",
        ),
        (said(ASKED, TOLD, tools="x"), "tools", "it is not JSON: Expecting value at column 1"),
    ],
)
def test_a_faulty_row_says_where_and_why(values: dict[str, Any], field: str, reason: str) -> None:
    assert fault(values, "openai") == (field, reason)


GOOD, BAD = {"role": "assistant", "content": "good"}, {"role": "assistant", "content": "bad"}


@pytest.mark.parametrize(
    "values",
    [
        said(ASKED, chosen="good", rejected="bad"),
        said(ASKED, chosen=GOOD, rejected=BAD),
        said(ASKED, chosen=[GOOD], rejected=[BAD]),
        {"chosen": [ASKED, GOOD], "rejected": [ASKED, BAD]},
    ],
    ids=["text", "message", "list", "two conversations"],
)
def test_a_ranking_in_every_writing(values: dict[str, Any]) -> None:
    assert row({**values, "system": "S"}, "openai", ranking=True) == StandardRow(
        kind=DatasetKind.PREFERENCE,
        prompt=(system("S"), user("Q")),
        responses=(assistant("good"), assistant("bad")),
    )


def pictured(path: str, last: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "image", "image": path}]}, last]


DIFFERENT = "it differs from the chosen one before the last turn"


@pytest.mark.parametrize(
    ("values", "field", "reason"),
    [
        (said(ASKED, chosen="a", rejected="a"), "rejected", "both answers are the same"),
        (said(ASKED, chosen="a"), "rejected", "it is missing, not a message"),
        (said(ASKED, chosen=[GOOD, BAD], rejected="b"), "chosen", "it has 2 turns, not one"),
        (said(ASKED, chosen="a\0", rejected="b"), "chosen", "it holds a NUL byte"),
        (said(ASKED, chosen=" ", rejected="b"), "messages", "turn 2 is empty"),
        (
            said(ASKED, chosen="a", rejected=ASKED),
            "messages",
            "turn 2, the user's, cannot stand after the user's",
        ),
        (
            {"chosen": [ASKED, GOOD], "rejected": [{**ASKED, "content": "P"}, BAD]},
            "rejected",
            DIFFERENT,
        ),
        ({"chosen": [], "rejected": []}, "rejected", DIFFERENT),
        (
            {"chosen": pictured("1.png", GOOD), "rejected": pictured("2.png", BAD)},
            "rejected",
            DIFFERENT,
        ),
        ({"chosen": [GOOD]}, "rejected", "it is missing, not a list of messages"),
    ],
)
def test_a_faulty_ranking_says_where_and_why(
    values: dict[str, Any], field: str, reason: str
) -> None:
    assert fault(values, "openai", ranking=True) == (field, reason)


def test_a_pair_of_conversations_keeps_its_pictures() -> None:
    values = {"chosen": pictured("1.png", GOOD), "rejected": pictured("1.png", BAD)}
    assert row(values, "openai", ranking=True).media == Media(images=("1.png",))


def test_feedback_and_other_columns() -> None:
    values = {"chat": [ASKED, TOLD], "ok": True, "functions": [TOOL]}
    columns = {"messages": "chat", "kto_tag": "ok", "tools": "functions"}
    found = row(values, "openai", columns=columns)
    assert (found.kind, found.liked, found.tools) == (DatasetKind.FEEDBACK, True, (FRAMED,))


def test_a_system_prompt_that_stands_twice_is_a_fault() -> None:
    values = said({"role": "system", "content": "S"}, ASKED, TOLD, system="T")
    assert fault(values, "openai") == ("system", "the first turn is a system turn too")


def test_roles_are_the_templates_own() -> None:
    assert [role.value for role in Role] == ["system", "user", "assistant", "tool"]
