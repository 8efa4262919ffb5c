"""ShareGPT rows: turns, tool calls and results, rankings, feedback, other names."""

import json
from typing import Any

import pytest

from domain.conversation import ToolCall
from domain.dataset import DatasetKind, Media, StandardRow, Tags
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


def talk(*turns: tuple[str, Any], **columns: Any) -> dict[str, Any]:
    return {"conversations": [{"from": who, "value": what} for who, what in turns], **columns}


QA = (("human", "Q"), ("gpt", "A"))
PAPERS = {"name": "find", "arguments": {"what": "papers", "n": 2}}
CALL = ToolCall("find", {"what": "papers", "n": 2})


def test_tool_calls_and_results_become_turns() -> None:
    values = talk(
        ("system", "S"),
        ("human", "Q"),
        ("function_call", json.dumps(PAPERS)),
        ("observation", "none"),
        ("gpt", "A"),
        tools=json.dumps([TOOL]),
    )
    assert row(values, "sharegpt") == StandardRow(
        kind=CHAT,
        prompt=(system("S"), user("Q"), assistant("", tool_calls=(CALL,)), tool("none")),
        responses=(assistant("A"),),
        tools=(FRAMED,),
    )


@pytest.mark.parametrize(
    ("written", "calls"),
    [
        (json.dumps(PAPERS), (CALL,)),
        (PAPERS, (CALL,)),
        (json.dumps([PAPERS, {"name": "stop"}]), (CALL, ToolCall("stop", {}))),
        ({"name": "find", "parameters": {"n": 1}}, (ToolCall("find", {"n": 1}),)),
        (json.dumps({"name": "find", "arguments": json.dumps({"n": 1})}),
         (ToolCall("find", {"n": 1}),)),
    ],
)  # fmt: skip
def test_a_tool_call_may_be_the_answer(written: Any, calls: tuple[ToolCall, ...]) -> None:
    found = row(talk(("human", "Q"), ("function_call", written)), "sharegpt")
    assert found.responses == (assistant("", tool_calls=calls),)


@pytest.mark.parametrize(
    ("written", "field", "reason"),
    [
        ("find papers", "value", "it is not JSON: Expecting value at column 1"),
        (None, "value", "it is missing, not text"),
        ("[]", "value", "there is no tool call in it"),
        ("3", "value", "a tool call has no name"),
        ('{"arguments": {}}', "value", "a tool call has no name"),
        ('{"name": null}', "value", "a tool call has no name"),
        ('{"name": "f", "arguments": 4}', "value.arguments", "they are a number, not an object"),
        (
            '{"name": "f", "arguments": null}',
            "value.arguments",
            "they are missing, not an object",
        ),
        ('{"name": "f", "arguments": "x"}', "value.arguments",
         "it is not JSON: Expecting value at column 1"),
        ('{"name": "f", "arguments": {"a": NaN}}', "value.arguments",
         "it holds nan, which is no number of JSON"),
        ('{"name": "f\\u0000", "arguments": {}}', "value.name", "it holds a NUL byte"),
        ('{"name": "f", "arguments": {"a": "\\ud800"}}', "value.arguments",
         "it holds half of a character"),
    ],
)  # fmt: skip
def test_a_faulty_tool_call_says_where_and_why(written: Any, field: str, reason: str) -> None:
    values = talk(("human", "Q"), ("function_call", written))
    assert fault(values, "sharegpt") == (f"conversations[1].{field}", reason)


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        (
            (("human", "Q"), ("observation", "o"), ("gpt", "A")),
            "turn 2, the tool's, cannot stand after the user's",
        ),
        (
            (("human", "Q"), ("function_call", PAPERS), ("human", "Q"), ("gpt", "A")),
            "turn 3, the user's, cannot stand after the assistant's",
        ),
        (
            (("human", "Q"), ("function_call", PAPERS), ("observation", "o")),
            "the last turn is not the assistant's",
        ),
        (
            (*QA, ("function_call", PAPERS)),
            "turn 3, the assistant's, cannot stand after the assistant's",
        ),
    ],
)
def test_tool_turns_stand_in_order(turns: tuple[tuple[str, Any], ...], reason: str) -> None:
    assert fault(talk(*turns), "sharegpt") == ("conversations", reason)


def test_an_empty_tool_result_is_a_result() -> None:
    values = talk(("human", "Q"), ("function_call", PAPERS), ("observation", ""), ("gpt", "A"))
    assert row(values, "sharegpt").prompt[-1] == tool("")


@pytest.mark.parametrize("plain", [True, False])
def test_a_ranking_has_its_answers_in_two_columns(plain: bool) -> None:
    better: Any = "good" if plain else {"from": "gpt", "value": "good"}
    worse: Any = "bad" if plain else {"from": "gpt", "value": "bad"}
    values = talk(*QA, ("human", "more"), chosen=better, rejected=worse)
    assert row(values, "sharegpt", ranking=True) == StandardRow(
        kind=DatasetKind.PREFERENCE,
        prompt=(user("Q"), assistant("A"), user("more")),
        responses=(assistant("good"), assistant("bad")),
    )


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"chosen": None}, "chosen", "it is missing, not a turn"),
        ({"rejected": 4}, "rejected", "it is a number, not a turn"),
        ({"rejected": " "}, "rejected", "the answer is empty"),
        ({"rejected": "a\0"}, "rejected", "it holds a NUL byte"),
        ({"rejected": "\udfff"}, "rejected", "it holds half of a character"),
        ({"rejected": "good"}, "rejected", "both answers are the same"),
        (
            {"chosen": {"from": "human", "value": "x"}},
            "chosen",
            "it is the user's turn, not the assistant's",
        ),
        (
            {"chosen": {"from": "gpt", "value": ["x"]}},
            "chosen.value",
            "it is a list, not text",
        ),
        (
            {"chosen": {"from": "bot", "value": "x"}},
            "chosen.from",
            "'bot' is none of human, gpt, system, observation, function_call",
        ),
    ],
)
def test_a_faulty_ranking_says_where_and_why(
    change: dict[str, Any], field: str, reason: str
) -> None:
    values = talk(("human", "Q"), **{"chosen": "good", "rejected": "bad", **change})
    assert fault(values, "sharegpt", ranking=True) == (field, reason)


def test_a_ranking_after_an_answer_is_a_fault() -> None:
    values = talk(*QA, chosen="good", rejected="bad")
    reason = "turn 3, the assistant's, cannot stand after the assistant's"
    assert fault(values, "sharegpt", ranking=True) == ("conversations", reason)


def test_feedback_media_and_other_names() -> None:
    tags = Tags(role="r", content="c", user="u", assistant="a", function="f", observation="o")
    turns = [
        {"r": "u", "c": "<image>"},
        {"r": "f", "c": PAPERS},
        {"r": "o", "c": "none"},
        {"r": "a", "c": "A"},
    ]
    values = {"chat": turns, "pics": ["1.png"], "ok": False}
    columns = {"messages": "chat", "images": "pics", "kto_tag": "ok"}
    assert row(values, "sharegpt", columns=columns, tags=tags) == StandardRow(
        kind=DatasetKind.FEEDBACK,
        prompt=(user("<image>"), assistant("", tool_calls=(CALL,)), tool("none")),
        responses=(assistant("A"),),
        liked=False,
        media=Media(images=("1.png",)),
    )


def test_a_turn_may_say_whether_it_is_trained() -> None:
    """axolotl's rows do; without this their flags would be passed over in silence."""
    turns: list[dict[str, Any]] = [
        {"from": "human", "value": "Q", "weight": 0},
        {"from": "function_call", "value": PAPERS, "train": False},
        {"from": "observation", "value": "none"},
        {"from": "gpt", "value": "A", "loss_weight": 1},
    ]
    found = row({"conversations": turns}, "sharegpt")
    assert [message.trained for message in found.messages] == [None, False, None, True]
    turns[1]["train"] = "no"
    place = ("conversations[1].train", "it is not true or false")
    assert fault({"conversations": turns}, "sharegpt") == place


def test_fewer_files_than_placeholders_is_a_fault() -> None:
    values = talk(("human", "<image>"), ("gpt", "A"))
    reason = "the text has 1 <image> and there are 0 files"
    assert fault(values, "sharegpt") == ("images", reason)
