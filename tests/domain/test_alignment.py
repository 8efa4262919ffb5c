"""Alignment: no text is lost or invented, and every kind of fault names its field and reason."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.aligners.fields import check_turns
from domain.alignment import ALIGNERS, align, detect_format, holds_ranking
from domain.conversation import Conversation, Message, Role
from domain.dataset import Columns, DatasetKind, DataSource, RowFault, StandardRow, Tags
from domain.fingerprint import fingerprint

SOURCE = DataSource(path="rows.jsonl")
WORDS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1
).filter(str.strip)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
COLUMNS = [
    "text", "instruction", "input", "output", "history", "system", "conversations", "messages",
    "tools", "segments", "chosen", "rejected", "images", "prompt", "response", "liked",
    "completion", "label",
]  # fmt: skip
CALLS = st.lists(
    st.fixed_dictionaries(
        {"function": st.fixed_dictionaries({"name": st.text(), "arguments": ANYTHING})}
    ),
    max_size=2,
)
PARTS = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["text", "image", "reasoning", "tool_call"]) | ANYTHING},
        optional={"text": ANYTHING, "value": ANYTHING, "image": ANYTHING},
    ),
    max_size=2,
)
ODD_TURNS = st.fixed_dictionaries(
    {
        "from": st.sampled_from(["human", "gpt", "function_call", "observation"]) | ANYTHING,
        "value": ANYTHING,
    }
) | st.fixed_dictionaries(
    {
        "role": st.sampled_from(["system", "user", "assistant", "tool"]) | ANYTHING,
        "content": st.text() | PARTS | ANYTHING,
    },
    optional={
        "tool_calls": CALLS | ANYTHING,
        "train": ANYTHING,
        "loss_weight": ANYTHING,
        "reasoning_content": ANYTHING,
    },
)


def aligned(values: dict[str, Any], format: str, source: DataSource = SOURCE) -> list[str]:
    """The turns as `role: text` lines; fails where the row has a fault."""
    found = align(values, source, format)
    assert isinstance(found, StandardRow), found
    assert found.kind is DatasetKind.CONVERSATION
    return [f"{message.role.value}: {message.content}" for message in found.messages]


def fault(values: dict[str, Any], format: str) -> tuple[str, str]:
    """(field, reason) of the row's fault."""
    found = align(values, SOURCE, format)
    assert isinstance(found, RowFault), found
    return found.field, found.reason


def turns(*pairs: tuple[Any, Any]) -> dict[str, Any]:
    return {"conversations": [{"from": role, "value": text} for role, text in pairs]}


@given(WORDS, WORDS, st.none() | st.just("") | WORDS, st.none() | st.just("") | WORDS)
def test_an_alpaca_row_keeps_every_text(
    prompt: str, response: str, query: str | None, system: str | None
) -> None:
    row = {"instruction": prompt, "output": response, "input": query, "system": system}
    question = f"{prompt}\n{query}" if query else prompt
    opening = [f"system: {system}"] if system else []
    assert aligned(row, "alpaca") == [*opening, f"user: {question}", f"assistant: {response}"]


@given(st.lists(st.tuples(WORDS, WORDS), max_size=4), WORDS, WORDS)
def test_history_comes_before_the_question_in_order(
    pairs: list[tuple[str, str]], prompt: str, response: str
) -> None:
    row = {
        "history": [list(pair) for pair in pairs],
        "instruction": prompt,
        "output": response,
    }
    told = [line for a, b in pairs for line in (f"user: {a}", f"assistant: {b}")]
    assert aligned(row, "alpaca") == [*told, f"user: {prompt}", f"assistant: {response}"]


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=5), st.none() | WORDS)
def test_a_sharegpt_row_keeps_every_turn(pairs: list[tuple[str, str]], system: str | None) -> None:
    row = turns(*[turn for a, b in pairs for turn in (("human", a), ("gpt", b))])
    told = [line for a, b in pairs for line in (f"user: {a}", f"assistant: {b}")]
    opening = [f"system: {system}"] if system else []
    assert aligned({**row, "system": system}, "sharegpt") == [*opening, *told]


@given(
    st.dictionaries(
        st.sampled_from(COLUMNS),
        ANYTHING | st.lists(ODD_TURNS, max_size=4),
    ),
    st.sampled_from(sorted(ALIGNERS)),
    st.booleans(),
    st.sampled_from([None, "liked"]),
)
def test_any_row_becomes_a_standard_row_or_a_fault_that_names_its_column(
    values: dict[str, Any], format: str, ranking: bool, tag: str | None
) -> None:
    source = DataSource(path="x", ranking=ranking, columns=Columns(kto_tag=tag))
    found = align(values, source, format)
    if isinstance(found, RowFault):
        assert found.field
        assert found.reason
    else:
        assert len(fingerprint(found.as_json())) == 64
        for number in range(0 if found.verbatim else len(found.responses)):
            check_turns(list(found.conversation(number).messages), "x")


def test_columns_and_tags_may_have_other_names() -> None:
    columns = Columns(prompt="q", query="more", response="a", system="s", messages="chat")
    tags = Tags(role="who", content="what", user="me", assistant="you", system="sys")
    source = DataSource(path="x", columns=columns, tags=tags)
    assert aligned({"q": "Q", "more": "M", "a": "A", "s": "S"}, "alpaca", source) == [
        "system: S",
        "user: Q\nM",
        "assistant: A",
    ]
    chat = [{"who": "sys", "what": "S"}, {"who": "me", "what": "Q"}, {"who": "you", "what": "A"}]
    assert aligned({"chat": chat}, "sharegpt", source) == [
        "system: S",
        "user: Q",
        "assistant: A",
    ]


def test_an_instruction_may_stand_in_the_input_alone() -> None:
    row = {"instruction": "", "input": "Q", "output": "A"}
    assert aligned(row, "alpaca") == ["user: Q", "assistant: A"]


def test_an_empty_history_cell_of_a_csv_file_is_no_history() -> None:
    row = {"instruction": "Q", "output": "A", "history": "", "system": ""}
    assert aligned(row, "alpaca") == ["user: Q", "assistant: A"]


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"instruction": None}, "instruction", "the instruction is empty"),
        ({"instruction": " \n", "input": "\t"}, "instruction", "the instruction is empty"),
        ({"output": ""}, "output", "the answer is empty"),
        ({"output": None}, "output", "the answer is empty"),
        ({"output": "  "}, "output", "the answer is empty"),
        ({"instruction": 3}, "instruction", "it is a number, not text"),
        ({"instruction": 0.5}, "instruction", "it is a number, not text"),
        ({"instruction": False}, "instruction", "it is a boolean, not text"),
        ({"input": ["x"]}, "input", "it is a list, not text"),
        ({"output": {"text": "A"}}, "output", "it is a mapping, not text"),
        ({"system": b"x"}, "system", "it is something else, not text"),
        ({"output": "A\ud83d"}, "output", "it holds half of a character"),
        ({"history": "Q"}, "history", "it is text, not a list of pairs"),
        ({"history": {"Q": "A"}}, "history", "it is a mapping, not a list of pairs"),
        ({"history": ["Q", "A"]}, "history[0]", "it is not a [question, answer] pair"),
        ({"history": [["Q", "A"], ["Q"]]}, "history[1]", "it is not a [question, answer] pair"),
        ({"history": [["Q", "A", "B"]]}, "history[0]", "it is not a [question, answer] pair"),
        ({"history": [["Q", 1]]}, "history[0]", "it is not a [question, answer] pair"),
        ({"history": [["Q", " "]]}, "history[0]", "it is not a [question, answer] pair"),
        ({"history": [["Q\udc00", "A"]]}, "history[0]", "it holds half of a character"),
    ],
)
def test_a_faulty_alpaca_row_says_where_and_why(
    change: dict[str, Any], field: str, reason: str
) -> None:
    row = {"instruction": "Q", "output": "A", **change}
    assert fault(row, "alpaca") == (field, reason)


CHAT = (("human", "Q"), ("gpt", "A"))


@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        ({}, "conversations", "it is missing, not a list of turns"),
        ({"conversations": "Q"}, "conversations", "it is text, not a list of turns"),
        ({"conversations": ["Q"]}, "conversations[0]", "it is text, not a turn"),
        (turns(), "conversations", "there are no turns"),
        (turns(("system", "S")), "conversations", "there are no turns"),
        (
            turns(("human", "Q"), ("bot", "A")),
            "conversations[1].from",
            "'bot' is none of human, gpt, system, observation, function_call",
        ),
        (
            turns((["human"], "Q")),
            "conversations[0].from",
            "['human'] is none of human, gpt, system, observation, function_call",
        ),
        (
            {"conversations": [{}]},
            "conversations[0].from",
            "None is none of human, gpt, system, observation, function_call",
        ),
        (
            {"conversations": [{"from": "human"}]},
            "conversations[0].value",
            "it is missing, not text",
        ),
        (
            turns(("human", "Q"), ("gpt", 4)),
            "conversations[1].value",
            "it is a number, not text",
        ),
        (turns(("human", "\ud800")), "conversations[0].value", "it holds half of a character"),
        ({**turns(*CHAT), "system": 1}, "system", "it is a number, not text"),
        (
            {**turns(("system", "S"), *CHAT), "system": "S"},
            "system",
            "the first turn is a system turn too",
        ),
        (
            turns(*CHAT, ("system", "S")),
            "conversations",
            "a system turn stands after the first turn",
        ),
        (
            turns(("gpt", "A")),
            "conversations",
            "turn 1, the assistant's, cannot stand at the beginning",
        ),
        (
            turns(*CHAT, ("gpt", "A")),
            "conversations",
            "turn 3, the assistant's, cannot stand after the assistant's",
        ),
        (
            turns(("human", "Q"), ("human", "Q")),
            "conversations",
            "turn 2, the user's, cannot stand after the user's",
        ),
        (turns(("human", "Q"), ("gpt", " ")), "conversations", "turn 2 is empty"),
        (turns(("human", "")), "conversations", "turn 1 is empty"),
        (turns(("human", "Q")), "conversations", "the last turn is not the assistant's"),
        (turns(*CHAT, ("human", "Q")), "conversations", "the last turn is not the assistant's"),
    ],
)
def test_a_faulty_sharegpt_row_says_where_and_why(
    row: dict[str, Any], field: str, reason: str
) -> None:
    assert fault(row, "sharegpt") == (field, reason)


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        (["instruction", "output"], "alpaca"),
        (["output", "instruction", "input", "extra"], "alpaca"),
        (["conversations", "id"], "sharegpt"),
        (["instruction"], None),
        (["messages"], "openai"),
        (["messages", "chosen", "rejected"], "openai"),
        (["instruction", "chosen", "rejected"], "alpaca"),
        (["instruction", "chosen"], None),
        (["prompt", "response"], "standard"),
        (["prompt", "text"], "text"),
        (["text"], "text"),
        (["text", "conversations"], "sharegpt"),
        (["messages", "conversations"], None),
        (["question", "answer"], None),
        ([], None),
        (["instruction", "output", "conversations"], None),
    ],
)
def test_a_format_is_found_only_where_it_is_clear(columns: list[str], found: str | None) -> None:
    assert detect_format(SOURCE, dict.fromkeys(columns)) == found


def test_a_format_is_found_by_the_described_columns() -> None:
    source = DataSource(path="x", columns=Columns(prompt="q", response="a"))
    assert detect_format(source, {"q": "Q", "a": "A"}) == "alpaca"
    assert detect_format(source, {"instruction": "Q", "output": "A"}) is None


def test_turns_are_written_as_chat_templates_take_them() -> None:
    chat = Conversation((Message(Role.USER, "Q"), Message(Role.ASSISTANT, "A")))
    assert chat.as_json() == [
        {"role": "user", "content": "Q"},
        {"role": "assistant", "content": "A"},
    ]


def test_messages_in_a_column_of_another_name_need_a_named_format() -> None:
    source = DataSource(path="x", columns=Columns(messages="chat"))
    assert detect_format(source, {"chat": []}) is None


@pytest.mark.parametrize(
    ("asked", "columns", "found"),
    [
        (None, ["chosen", "rejected"], True),
        (None, ["chosen"], False),
        (False, ["chosen", "rejected"], False),
        (True, [], True),
    ],
)
def test_a_ranking_is_what_the_source_says_or_what_its_columns_say(
    asked: bool | None, columns: list[str], found: bool
) -> None:
    assert holds_ranking(DataSource(path="x", ranking=asked), columns) is found
