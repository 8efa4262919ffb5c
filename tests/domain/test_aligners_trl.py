"""TRL's layouts: found by their columns, and what their rows become."""

from typing import Any

import pytest

from domain.alignment import detect_format, holds_ranking
from domain.dataset import Columns, DatasetKind, DataSource, Media, StandardRow
from tests.domain.aligning import CHAT, TOOL, assistant, fault, row, system, tool, user

ASK = {"role": "user", "content": "Q"}
GOOD = {"role": "assistant", "content": "good"}
BAD = {"role": "assistant", "content": "bad"}
BEFORE = [ASK, {"role": "assistant", "content": "A"}, {"role": "user", "content": "R"}]
SOURCE = DataSource(path="x")
PREFERENCE = StandardRow(
    kind=DatasetKind.PREFERENCE,
    prompt=(user("Q"),),
    responses=(assistant("good"), assistant("bad")),
)


@pytest.mark.parametrize(
    ("values", "format"),
    [
        ({"prompt": "Q", "chosen": "good", "rejected": "bad"}, "trl"),
        ({"prompt": [ASK], "chosen": [GOOD], "rejected": [BAD]}, "trl"),
        ({"prompt": [ASK], "chosen": "good", "rejected": [BAD]}, "trl"),
        ({"chosen": [ASK, GOOD], "rejected": [ASK, BAD]}, "openai"),
        ({"messages": [ASK], "chosen": [GOOD], "rejected": [BAD]}, "openai"),
        ({"messages": [ASK, GOOD], "chosen": [ASK, GOOD], "rejected": [ASK, BAD]}, "openai"),
        ({"prompt": "Q", "chosen": [ASK, GOOD], "rejected": [ASK, BAD], "score": 1.0}, "trl"),
        (
            {
                "prompt": "Q",
                "messages": [ASK, GOOD],
                "chosen": [ASK, GOOD],
                "rejected": [ASK, BAD],
            },
            "trl",
        ),
    ],
)
def test_every_way_to_write_a_preference_is_found_and_means_the_same(
    values: dict[str, Any], format: str
) -> None:
    assert detect_format(SOURCE, values) == format
    assert holds_ranking(SOURCE, list(values))
    assert row(values, format, ranking=True) == PREFERENCE


@pytest.mark.parametrize(
    "values",
    [
        {"prompt": "Q", "completion": "A"},
        {"prompt": [ASK], "completion": [{"role": "assistant", "content": "A"}]},
        {"prompt": [ASK], "completion": "A", "extra": 1},
    ],
)
@pytest.mark.parametrize("label", [None, True, False])
def test_a_completion_is_a_conversation_and_with_a_label_feedback(
    values: dict[str, Any], label: bool | None
) -> None:
    if label is not None:
        values = {**values, "label": label}
    assert detect_format(SOURCE, values) == "trl"
    assert row(values, "trl") == StandardRow(
        kind=CHAT if label is None else DatasetKind.FEEDBACK,
        prompt=(user("Q"),),
        responses=(assistant("A"),),
        liked=label,
    )


def test_only_the_completion_is_trained() -> None:
    call = {"function": {"name": "find", "arguments": {"what": "x"}}}
    found = row(
        {
            "system": "S",
            "prompt": BEFORE,
            "completion": [
                {"role": "assistant", "content": "", "tool_calls": [call]},
                {"role": "tool", "content": "T"},
                GOOD,
            ],
            "tools": [TOOL],
        },
        "trl",
    )
    assert found.messages[:3] == (system("S"), user("Q"), assistant("A", trained=False))
    assert [message.trained for message in found.messages[4:]] == [None, None, None]
    assert found.messages[5:] == (tool("T"), assistant("good"))
    asked = [ASK, {"role": "assistant", "content": "A", "train": True}, BEFORE[2]]
    assert row({"prompt": asked, "completion": "B"}, "trl").messages[1].trained is True


def test_two_answers_may_begin_alike() -> None:
    shared = [{"role": "assistant", "content": "A"}, {"role": "user", "content": "R"}]
    values = {"prompt": "Q", "chosen": [*shared, GOOD], "rejected": [*shared, BAD]}
    found = row(values, "trl", ranking=True)
    assert found.prompt == (user("Q"), assistant("A"), user("R"))
    assert found.responses == PREFERENCE.responses


def test_a_column_of_pictures_belongs_to_the_prompt() -> None:
    values = {"prompt": [{"role": "user", "content": [{"type": "image"}]}], "completion": "A"}
    found = row({**values, "images": ["a.png"]}, "trl")
    assert found.prompt == (user("<image>"),)
    assert found.media == Media(images=("a.png",))


@pytest.mark.parametrize(
    ("values", "place", "reason"),
    [
        ({"completion": "A"}, "prompt", "it is missing, not text or a list of messages"),
        ({"prompt": "Q"}, "completion", "it is missing, not text or a list of messages"),
        ({"prompt": 3, "completion": "A"}, "prompt", "it is a number, not text or a list of"),
        ({"prompt": "Q", "completion": []}, "completion", "there are no turns"),
        ({"prompt": "Q", "completion": " "}, "prompt", "turn 2 is empty"),
        ({"prompt": "Q", "completion": [ASK]}, "prompt", "the user's, cannot stand after the us"),
        ({"prompt": "Q", "completion": "A", "label": 1}, "label", "it is a number, not true or f"),
        ({"prompt": "Q", "completion": "A", "label": None}, "label", "it is missing, not true"),
        (
            {
                "prompt": "Q",
                "completion": [{"role": "assistant", "content": [{"type": "image", "path": "a"}]}],
            },
            "completion",
            "an answer cannot hold media",
        ),
    ],
)
def test_a_faulty_completion_says_where_and_why(
    values: dict[str, Any], place: str, reason: str
) -> None:
    field, found = fault(values, "trl")
    assert field == place
    assert reason in found


@pytest.mark.parametrize(
    ("values", "place", "reason"),
    [
        ({"prompt": "Q", "chosen": "A"}, "rejected", "it is missing, not text or a list"),
        ({"prompt": "Q", "chosen": "A", "rejected": "A"}, "rejected", "both answers are the same"),
        (
            {"prompt": "Q", "chosen": [GOOD, ASK, GOOD], "rejected": [BAD]},
            "rejected",
            "it differs from the chosen one before the last turn",
        ),
        (
            {"prompt": "Q", "chosen": [ASK, GOOD], "rejected": [BEFORE[2], BAD]},
            "rejected",
            "it differs from the chosen one before the last turn",
        ),
        ({"prompt": "Q", "chosen": [ASK], "rejected": [ASK]}, "chosen", "not the assistant's"),
    ],
)
def test_a_faulty_preference_says_where_and_why(
    values: dict[str, Any], place: str, reason: str
) -> None:
    field, found = fault(values, "trl", ranking=True)
    assert field == place
    assert reason in found


@pytest.mark.parametrize(
    "values",
    [
        {"prompt": "Q"},  # nothing to learn from
        {"chosen": "good", "rejected": "bad"},  # no prompt can be told
        {"question": "Q", "chosen": "good", "rejected": "bad"},
        {"prompt": "Q", "response": "A", "completion": "A"},
        {"prompt": "Q", "completion": "A", "messages": [ASK, GOOD]},
        {"instruction": "Q", "prompt": "Q", "chosen": "good", "rejected": "bad"},
    ],
)
def test_what_is_ambiguous_is_not_guessed(values: dict[str, Any]) -> None:
    assert detect_format(SOURCE, values) is None


def test_what_the_source_describes_comes_first() -> None:
    named = DataSource(path="x", columns=Columns(prompt="prompt", response="completion"))
    assert detect_format(named, {"prompt": "Q", "completion": "A"}) == "alpaca"
    pair = {"prompt": "Q", "chosen": "good", "rejected": "bad"}
    assert detect_format(DataSource(path="x", columns=Columns(prompt="prompt")), pair) == "alpaca"
    assert detect_format(DataSource(path="x", ranking=False), pair) is None
    other = DataSource(path="x", columns=Columns(chosen="better", rejected="worse"))
    values = {"prompt": "Q", "better": "good", "worse": "bad"}
    assert detect_format(other, values) == "trl"
    columns = {"chosen": "better", "rejected": "worse"}
    assert row(values, "trl", ranking=True, columns=columns) == PREFERENCE
    liked = {"prompt": "Q", "completion": "A", "thumb": True}
    assert row(liked, "trl", columns={"kto_tag": "thumb"}).liked is True
