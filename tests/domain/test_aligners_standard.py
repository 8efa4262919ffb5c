"""Standard rows, and what holds for rows of every layout: nothing lost, nothing invented."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.conversation import Message, Role, ToolCall
from domain.dataset import DatasetKind, Media, StandardRow
from domain.fingerprint import fingerprint
from tests.domain.aligning import CHAT, FRAMED, TOOL, assistant, fault, row, system, user

ASKED = {"role": "user", "content": "Q"}
GOOD, BAD = {"role": "assistant", "content": "good"}, {"role": "assistant", "content": "bad"}


def test_one_response_is_a_conversation() -> None:
    values = {"prompt": [ASKED], "response": [GOOD], "tools": [TOOL], "system": "S"}
    assert row(values, "standard") == StandardRow(
        kind=CHAT,
        prompt=(system("S"), user("Q")),
        responses=(assistant("good"),),
        tools=(FRAMED,),
    )


def test_two_responses_are_a_preference() -> None:
    found = row({"prompt": [ASKED], "response": [GOOD, BAD]}, "standard")
    assert found.kind is DatasetKind.PREFERENCE
    assert found.responses == (assistant("good"), assistant("bad"))
    assert [found.conversation(n).messages[-1].content for n in (0, 1)] == ["good", "bad"]
    assert [message.content for message in found.messages] == ["Q", "good", "bad"]


@pytest.mark.parametrize("column", ["liked", "ok"])
def test_liked_makes_feedback(column: str) -> None:
    columns = {} if column == "liked" else {"kto_tag": "ok"}
    values = {"prompt": [ASKED], "response": [GOOD], column: False}
    found = row(values, "standard", columns=columns)
    assert (found.kind, found.liked) == (DatasetKind.FEEDBACK, False)


@pytest.mark.parametrize(
    ("values", "field", "reason"),
    [
        ({"response": [GOOD]}, "prompt", "it is missing, not a list of messages"),
        ({"prompt": [ASKED]}, "response", "it is missing, not a list of messages"),
        ({"prompt": "Q", "response": [GOOD]}, "prompt", "it is text, not a list of messages"),
        ({"prompt": [ASKED], "response": GOOD}, "response",
         "it is a mapping, not a list of messages"),
        ({"prompt": [ASKED], "response": []}, "response", "it has 0 messages, not one or two"),
        ({"prompt": [ASKED], "response": [GOOD, BAD, GOOD]}, "response",
         "it has 3 messages, not one or two"),
        ({"prompt": [ASKED], "response": [GOOD, GOOD]}, "rejected", "both answers are the same"),
        ({"prompt": [], "response": [GOOD]}, "prompt",
         "turn 1, the assistant's, cannot stand at the beginning"),
        ({"prompt": [ASKED], "response": [ASKED]}, "prompt",
         "turn 2, the user's, cannot stand after the user's"),
        ({"prompt": [ASKED], "response": [{"role": "assistant", "content": 4}]},
         "response[0].content", "it is a number, not text"),
        ({"prompt": [ASKED], "response": [GOOD], "liked": "yes"}, "liked",
         "it is text, not true or false"),
        ({"prompt": [ASKED], "response": [GOOD], "liked": float("nan")}, "liked",
         "it is a number, not true or false"),
        (
            {
                "prompt": [ASKED],
                "response": [
                    {"role": "assistant", "content": [{"type": "image", "image": "1.png"}]}
                ],
            },
            "response",
            "an answer cannot hold media",
        ),
    ],
)  # fmt: skip
def test_a_faulty_row_says_where_and_why(values: dict[str, Any], field: str, reason: str) -> None:
    assert fault(values, "standard") == (field, reason)


def test_a_row_with_everything_is_written_and_read_again() -> None:
    whole = StandardRow(
        kind=DatasetKind.PREFERENCE,
        prompt=(
            system("S"),
            user("<image>"),
            assistant("", tool_calls=(ToolCall("f", {"a": [1, None, {"b": "ж"}]}),), trained=False),
            Message(Role.TOOL, ""),
        ),
        responses=(assistant("good", reasoning="hm", trained=True), assistant("bad")),
        tools=(FRAMED,),
        media=Media(images=("1.png",), videos=("2.mp4",), audios=("3.wav",)),
    )
    assert row(json.loads(json.dumps(whole.as_json())), "standard") == whole


def test_whether_a_turn_is_trained_is_part_of_the_fingerprint() -> None:
    marks: list[bool | None] = [None, True, False]
    rows = [
        StandardRow(kind=CHAT, prompt=(user("Q"),), responses=(assistant("A", trained=mark),))
        for mark in marks
    ]
    assert len({fingerprint(each.as_json()) for each in rows}) == 3


# -- rows of every layout ---------------------------------------------------------------------

ROLES = {"human", "gpt", "user", "assistant"}


def words(count: int) -> list[str]:
    """Texts that cannot be mistaken for one another, with characters that are hard to keep."""
    return [f"«{number}» {{\"ж\": '\\n'}}\t<|im_end|> 🦊 \r\n" for number in range(count)]


def texts(value: Any) -> Iterator[str]:
    """Every text inside a value, keys of mappings left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts(inner)


@st.composite
def rows_of_a_layout(
    draw: st.DrawFn,
) -> tuple[dict[str, Any], str, dict[str, Any], list[str]]:
    """(a row, its format, the source's settings, every text in it in the order it is said)."""
    format = draw(st.sampled_from(["alpaca", "sharegpt", "openai", "standard"]))
    pairs, ranking, with_system = draw(st.integers(1, 4)), draw(st.booleans()), draw(st.booleans())
    made = words(2 * pairs + 2)
    opening = made[:1] if with_system else []
    questions, replies = made[1 : 2 * pairs + 1 : 2], made[2 : 2 * pairs + 1 : 2]
    worse = made[-1:] if ranking else []
    said = [*opening, *(t for pair in zip(questions, replies, strict=True) for t in pair), *worse]
    columns: dict[str, Any] = {"system": opening[0]} if opening else {}
    if format == "alpaca":
        columns["history"] = [list(pair) for pair in zip(questions[:-1], replies[:-1], strict=True)]
        columns["instruction"] = questions[-1]
        columns["output"] = [replies[-1], *worse] if ranking else replies[-1]
        return columns, format, {"ranking": ranking}, said
    asker, teller, who, what, key = {
        "sharegpt": ("human", "gpt", "from", "value", "conversations"),
        "openai": ("user", "assistant", "role", "content", "messages"),
        "standard": ("user", "assistant", "role", "content", "prompt"),
    }[format]
    turns = [
        {who: name, what: text}
        for question, reply in zip(questions, replies, strict=True)
        for name, text in ((asker, question), (teller, reply))
    ]
    if format == "standard":
        columns["response"] = [turns.pop(), *({who: teller, what: text} for text in worse)]
    elif ranking:
        columns |= {"chosen": turns.pop()[what], "rejected": worse[0]}
    return {**columns, key: turns}, format, {"ranking": ranking}, said


@given(rows_of_a_layout())
def test_no_text_is_lost_or_invented_and_all_stand_in_order(
    drawn: tuple[dict[str, Any], str, dict[str, Any], list[str]],
) -> None:
    values, format, settings, said = drawn
    found = row(values, format, **settings)
    assert [message.content for message in found.messages] == said
    assert sorted(text for text in texts(values) if text not in ROLES) == sorted(said)


@given(rows_of_a_layout())
def test_a_standard_row_is_read_again_as_it_was_written(
    drawn: tuple[dict[str, Any], str, dict[str, Any], list[str]],
) -> None:
    values, format, settings, _ = drawn
    found = row(values, format, **settings)
    written = json.loads(json.dumps(found.as_json()))
    assert row(written, "standard") == found
    assert fingerprint(written) == fingerprint(found.as_json())


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
SPOKEN = TEXT.filter(str.strip)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=6,
)  # fmt: skip


@given(
    SPOKEN,
    st.none() | TEXT,
    st.sampled_from([None, True, False]),
    st.dictionaries(TEXT, JSON, max_size=3),
    st.integers(0, 2),
    st.sampled_from([None, True, False]),
)
def test_calls_reasoning_and_flags_survive_being_written(
    text: str,
    thought: str | None,
    trained: bool | None,
    arguments: dict[str, Any],
    encoded: int,
    liked: bool | None,
) -> None:
    written: Any = arguments
    for _ in range(encoded):
        written = json.dumps(written)
    call = {"function": {"name": text, "arguments": written}}
    messages = [
        {"role": "user", "content": text},
        {"role": "assistant", "content": None, "tool_calls": [call], "train": trained},
        {"role": "tool", "content": text},
        {"role": "assistant", "content": text, "reasoning_content": thought},
    ]
    columns = {} if liked is None else {"kto_tag": "liked"}
    found = row({"messages": messages, "liked": liked}, "openai", columns=columns)
    assert found.prompt[1].tool_calls[0].arguments == arguments
    assert found.responses[0].reasoning == thought
    assert row(json.loads(json.dumps(found.as_json())), "standard") == found
