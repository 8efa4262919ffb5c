"""Plain text and alpaca rows: documents, questions with answers, rankings, feedback, media."""

import json
from typing import Any

import pytest

from domain.dataset import DatasetKind, Media, StandardRow
from tests.domain.aligning import CHAT, FRAMED, TOOL, assistant, fault, row, system, user

QA: dict[str, Any] = {"instruction": "Q", "output": "A"}


def test_a_text_row_is_its_document_as_it_stands() -> None:
    assert row({"text": " A\n\n", "id": 3}, "text") == StandardRow(
        kind=DatasetKind.TEXT, text=" A\n\n"
    )
    assert row({"body": "B"}, "text", columns={"text": "body"}).text == "B"
    assert row({"text": "A"}, "text").as_json() == {"text": "A"}


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, "the text is empty"),
        ({"text": None}, "the text is empty"),
        ({"text": " \n\t"}, "the text is empty"),
        ({"text": "a\0b"}, "it holds a NUL byte"),
        ({"text": "\ud800"}, "it holds half of a character"),
        ({"text": float("nan")}, "it is a number, not text"),
        ({"text": ["a"]}, "it is a list, not text"),
        ({"text": {"text": "a"}}, "it is a mapping, not text"),
    ],
)
def test_a_faulty_document_says_why(values: dict[str, Any], reason: str) -> None:
    assert fault(values, "text") == ("text", reason)


def test_an_alpaca_row_is_a_question_with_its_answer() -> None:
    values = {**QA, "input": "I", "system": "S", "history": [["q", "a"]], "tools": [TOOL]}
    assert row(values, "alpaca") == StandardRow(
        kind=CHAT,
        prompt=(system("S"), user("q"), assistant("a"), user("Q\nI")),
        responses=(assistant("A"),),
        tools=(FRAMED,),
    )


@pytest.mark.parametrize(
    "answers",
    [
        {"output": ["good", "bad"]},
        {"chosen": "good", "rejected": "bad"},
    ],
    ids=["list", "columns"],
)
def test_a_ranking_is_the_better_answer_and_then_the_worse(answers: dict[str, Any]) -> None:
    assert row({"instruction": "Q", **answers}, "alpaca", ranking=True) == StandardRow(
        kind=DatasetKind.PREFERENCE,
        prompt=(user("Q"),),
        responses=(assistant("good"), assistant("bad")),
    )


@pytest.mark.parametrize(
    ("answers", "field", "reason"),
    [
        ({"output": "good"}, "output", "it is text, not a list of two answers"),
        ({"output": None}, "output", "it is missing, not a list of two answers"),
        ({"output": ["good"]}, "output", "it has 1 answers, not two"),
        ({"output": ["a", "b", "c"]}, "output", "it has 3 answers, not two"),
        ({"output": ["a", 2]}, "output[1]", "it is a number, not text"),
        ({"output": ["a\0", "b"]}, "output[0]", "it holds a NUL byte"),
        ({"output": ["a", "\udc00"]}, "output[1]", "it holds half of a character"),
        ({"output": ["a", " "]}, "output[1]", "the answer is empty"),
        ({"output": ["a", "a"]}, "rejected", "both answers are the same"),
        ({"chosen": "a", "rejected": "a"}, "rejected", "both answers are the same"),
        ({"chosen": "a"}, "rejected", "the answer is empty"),
        ({"rejected": "a"}, "chosen", "the answer is empty"),
        ({"chosen": ["a"], "rejected": "b"}, "chosen", "it is a list, not text"),
    ],
)
def test_a_faulty_ranking_says_where_and_why(
    answers: dict[str, Any], field: str, reason: str
) -> None:
    assert fault({"instruction": "Q", **answers}, "alpaca", ranking=True) == (field, reason)


@pytest.mark.parametrize("liked", [True, False])
def test_a_tag_makes_feedback(liked: bool) -> None:
    found = row({**QA, "ok": liked}, "alpaca", columns={"kto_tag": "ok"})
    assert (found.kind, found.liked) == (DatasetKind.FEEDBACK, liked)
    assert found.as_json()["liked"] is liked


@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        ({}, "it is missing, not true or false"),
        ({"ok": None}, "it is missing, not true or false"),
        ({"ok": 1}, "it is a number, not true or false"),
        ({"ok": "true"}, "it is text, not true or false"),
        ({"ok": float("nan")}, "it is a number, not true or false"),
        ({"ok": [True]}, "it is a list, not true or false"),
    ],
)
def test_a_tag_that_is_not_true_or_false_is_a_fault(tag: dict[str, Any], reason: str) -> None:
    assert fault({**QA, **tag}, "alpaca", columns={"kto_tag": "ok"}) == ("ok", reason)


def test_media_come_from_their_columns() -> None:
    values = {
        "instruction": "<image> and <image>, <video>",
        "output": "A",
        "images": ["1.png", "2.png"],
        "videos": "clip.mp4",
        "sounds": ["unmentioned.wav"],
    }
    found = row(values, "alpaca", columns={"audios": "sounds"})
    assert found.media == Media(
        images=("1.png", "2.png"), videos=("clip.mp4",), audios=("unmentioned.wav",)
    )
    assert not row({**QA, "images": [], "videos": "", "audios": None}, "alpaca").media


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"instruction": "<image>"}, "images", "the text has 1 <image> and there are 0 files"),
        (
            {"instruction": "<image><image>", "images": ["a"]},
            "images",
            "the text has 2 <image> and there are 1 files",
        ),
        (
            {"output": "<audio>", "audios": ["a", "b"]},
            "audios",
            "the text has 1 <audio> and there are 2 files",
        ),
        ({"images": [""]}, "images", "it is not a list of paths"),
        ({"images": [None]}, "images", "it is not a list of paths"),
        ({"images": 3}, "images", "it is not a list of paths"),
        ({"videos": {"path": "a"}}, "videos", "it is not a list of paths"),
        ({"images": ["a\0b"]}, "images", "it holds a NUL byte"),
    ],
)
def test_faulty_media_say_where_and_why(change: dict[str, Any], field: str, reason: str) -> None:
    assert fault({**QA, **change}, "alpaca") == (field, reason)


def test_tools_may_be_json_text_and_bare_functions_are_framed() -> None:
    for tools in ([TOOL], [FRAMED], json.dumps([TOOL]), json.dumps([FRAMED])):
        assert row({**QA, "tools": tools}, "alpaca").tools == (FRAMED,)
    without: list[Any] = [None, "", []]
    for nothing in without:
        assert row({**QA, "tools": nothing}, "alpaca").tools == ()


DEEP: Any = "x"
for _ in range(200):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("tools", "field", "reason"),
    [
        ("[", "tools", "it is not JSON: Expecting value at column 2"),
        ("{}", "tools", "it is not a list of tool definitions"),
        ("null", "tools", "it is not a list of tool definitions"),
        (5, "tools", "it is not a list of tool definitions"),
        (["find"], "tools", "it is not a list of tool definitions"),
        ([{}], "tools[0]", "the tool has no name"),
        ([TOOL, {"type": "function", "function": 3}], "tools[1]", "the tool has no name"),
        ([{"name": 5}], "tools[0]", "the tool has no name"),
        (
            [{"name": "f", "default": float("nan")}],
            "tools[0]",
            "it holds nan, which is no number of JSON",
        ),
        (
            '[{"name": "f", "default": -Infinity}]',
            "tools[0]",
            "it holds -inf, which is no number of JSON",
        ),
        ([{"name": "f", "x": b"y"}], "tools[0]", "it holds a bytes, which is not JSON"),
        ([{"name": "f", "x": "\0"}], "tools[0]", "it holds a NUL byte"),
        ([{"name": "f", "x": {"\ud800": 1}}], "tools[0]", "it holds half of a character"),
        ('[{"name": "\\ud800"}]', "tools[0]", "it holds half of a character"),
        ([{"name": "f", "x": {3: 4}}], "tools[0]", "it is a number, not text"),
        ([{"name": "f", "x": DEEP}], "tools[0]", "it is nested more than 100 deep"),
    ],
)
def test_faulty_tools_say_where_and_why(tools: Any, field: str, reason: str) -> None:
    assert fault({**QA, "tools": tools}, "alpaca") == (field, reason)


@pytest.mark.parametrize("text", ["[" * 100_000, "[" + "1" * 5000 + "]"], ids=["deep", "long"])
def test_json_text_that_python_cannot_read_is_a_fault(text: str) -> None:
    field, reason = fault({**QA, "tools": text}, "alpaca")
    assert (field, reason[:27]) == ("tools", "it is not JSON we can read:")
