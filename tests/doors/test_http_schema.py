"""Which requests are accepted, and what is said about the others."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import HextuneError
from entrypoints.http_api.schema.chat import (
    ChatBody,
    ChatMessage,
    ChatRequest,
    read_chat,
)
from entrypoints.http_api.schema.field_table import field_table, page
from entrypoints.http_api.schema.fields import (
    MESSAGE_FIELDS,
    REQUEST_FIELDS,
    STREAM_FIELDS,
    FieldRule,
    Treatment,
)
from entrypoints.http_api.schema.values import StreamOptions
from tests.doors.http_server import body
from tests.doors.openai_spec import fields_of

USER = {"role": "user", "content": "x"}
SYSTEM = {"role": "system", "content": "x"}
ASSISTANT = {"role": "assistant", "content": "x"}


def mistakes(values: object) -> list[tuple[str | None, str]]:
    with pytest.raises(HextuneError) as caught:
        read_chat(values)
    return [(found.place.field, found.code) for found in caught.value.problems]


def test_every_field_of_openais_api_is_classified() -> None:
    official = fields_of("CreateChatCompletionRequest")
    assert len(official) > 30
    assert set(REQUEST_FIELDS) == official


@pytest.mark.parametrize(
    ("rules", "model"),
    [(REQUEST_FIELDS, ChatBody), (MESSAGE_FIELDS, ChatMessage), (STREAM_FIELDS, StreamOptions)],
)
def test_the_honoured_fields_are_those_that_are_read(
    rules: Mapping[str, FieldRule], model: type[ChatBody]
) -> None:
    named = {name for name, rule in rules.items() if rule.treatment is Treatment.HONOURED}
    assert named == set(model.model_fields)


def test_the_table_has_a_row_for_each_field() -> None:
    rows = field_table().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == list(REQUEST_FIELDS)
    assert "| `n` | honoured | 1 to 128 |" in rows
    assert "| `store` | neutral only | null or `false` |" in rows
    assert "| `user` | rejected | null |" in rows


def test_the_page_of_fields_is_as_the_code_treats_them() -> None:
    docs = Path(__file__).parents[2] / "docs" / "http-fields.md"
    assert docs.read_text(encoding="utf-8") == page()


NEUTRAL = [(name, value) for name, rule in REQUEST_FIELDS.items() for value in rule.neutral]
UNSUPPORTED = [n for n, r in REQUEST_FIELDS.items() if r.treatment is not Treatment.HONOURED]
OPTIONAL = [name for name in REQUEST_FIELDS if name not in ("model", "messages")]


@pytest.mark.parametrize(("field", "value"), NEUTRAL)
def test_values_that_ask_for_nothing_are_accepted(field: str, value: object) -> None:
    assert read_chat(body(**{field: value})) == read_chat(body())


@pytest.mark.parametrize("field", OPTIONAL)
def test_null_asks_for_nothing(field: str) -> None:
    assert read_chat(body(**{field: None})) == read_chat(body())


@pytest.mark.parametrize("field", UNSUPPORTED)
@pytest.mark.parametrize("value", [True, 7, "x", ["x"], {"x": 1}])
def test_values_that_ask_for_something_are_refused(field: str, value: object) -> None:
    assert mistakes(body(**{field: value})) == [(field, "request-unsupported-field")]


def test_false_is_not_zero() -> None:
    assert mistakes(body(store=0, modalities=False)) == [
        ("store", "request-unsupported-field"),
        ("modalities", "request-unsupported-field"),
    ]


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "temperature-low": ({"temperature": -0.1}, "temperature"),
    "temperature-high": ({"temperature": 2.1}, "temperature"),
    "temperature-text": ({"temperature": "1"}, "temperature"),
    "temperature-bool": ({"temperature": True}, "temperature"),
    "temperature-huge": ({"temperature": 10**400}, "temperature"),
    "top-p-zero": ({"top_p": 0}, "top_p"),
    "top-p-high": ({"top_p": 1.01}, "top_p"),
    "tokens-zero": ({"max_completion_tokens": 0}, "max_completion_tokens"),
    "tokens-fraction": ({"max_tokens": 1.5}, "max_tokens"),
    "tokens-differ": ({"max_tokens": 1, "max_completion_tokens": 2}, "max_tokens"),
    "n-zero": ({"n": 0}, "n"),
    "n-high": ({"n": 129}, "n"),
    "stop-five": ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
    "stop-empty": ({"stop": ""}, "stop[0]"),
    "stop-number": ({"stop": 1}, "stop"),
    "seed-text": ({"seed": "1"}, "seed"),
    "seed-high": ({"seed": 2**63}, "seed"),
    "stream-number": ({"stream": 1}, "stream"),
    "options-alone": ({"stream_options": {"include_usage": True}}, "stream_options"),
    "usage-text": (
        {"stream": True, "stream_options": {"include_usage": "y"}},
        "stream_options.include_usage",
    ),
    "model-number": ({"model": 1}, "model"),
    "messages-none": ({"messages": []}, "messages"),
    "messages-text": ({"messages": "hello"}, "messages"),
    "message-text": ({"messages": ["hello"]}, "messages[0]"),
    "role-unknown": ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
    "role-missing": ({"messages": [{"content": "x"}]}, "messages[0].role"),
    "content-missing": ({"messages": [{"role": "user"}]}, "messages[0].content"),
    "content-null": ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
    "content-no-parts": ({"messages": [{"role": "user", "content": []}]}, "messages[0].content"),
    "part-image": (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
        "messages[0].content[0]",
    ),
    "part-number": (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]},
        "messages[0].content[0].text",
    ),
    "system-later": ({"messages": [USER, SYSTEM, USER]}, "messages[1].role"),
    "system-twice": (
        {"messages": [SYSTEM, {"role": "developer", "content": "x"}, USER]},
        "messages[1].role",
    ),
    "ends-with-assistant": ({"messages": [USER, ASSISTANT]}, "messages[1].role"),
    "ends-with-system": ({"messages": [SYSTEM]}, "messages[0].role"),
}


@pytest.mark.parametrize(("fields", "where"), BAD.values(), ids=BAD.keys())
def test_a_bad_value_is_told_with_its_place(fields: dict[str, Any], where: str) -> None:
    assert mistakes(body(**fields)) == [(where, "request-bad-field")]


@pytest.mark.parametrize("values", [None, 1, "x", [], [USER]])
def test_a_request_is_an_object(values: object) -> None:
    assert mistakes(values) == [("body", "request-bad-field")]


def test_missing_fields_are_named() -> None:
    assert mistakes({}) == [("model", "request-bad-field"), ("messages", "request-bad-field")]


@pytest.mark.parametrize(
    ("message", "where"),
    [
        ({**USER, "name": "me"}, "messages[0].name"),
        ({**USER, "refusal": "no"}, "messages[0].refusal"),
        ({**USER, "colour": None}, "messages[0].colour"),
        (
            {"role": "user", "content": [{"type": "text", "text": "x", "cache": 1}]},
            "messages[0].content[0].cache",
        ),
    ],
)
def test_unsupported_fields_of_messages_are_named(message: dict[str, Any], where: str) -> None:
    assert mistakes(body(messages=[message])) == [(where, "request-unsupported-field")]


def test_obfuscation_is_refused_by_name() -> None:
    options = {"include_obfuscation": True, "include_usage": True}
    assert mistakes(body(stream=True, stream_options=options)) == [
        ("stream_options.include_obfuscation", "request-unsupported-field")
    ]
    read = read_chat(body(stream=True, stream_options={**options, "include_obfuscation": False}))
    assert read.include_usage


def test_whose_turn_it_is_in_between_is_up_to_the_template() -> None:
    said = [SYSTEM, ASSISTANT, USER, USER]
    conversation = read_chat(body(messages=said)).generations[0].conversation
    assert [message.role.value for message in conversation.messages] == [m["role"] for m in said]


def test_defaults_are_openais() -> None:
    sampling = read_chat(body()).generations[0].sampling
    assert (sampling.temperature, sampling.top_p, sampling.seed) == (1.0, 1.0, None)
    assert (sampling.max_tokens, sampling.stop) == (None, ())


def test_conflicts_are_told_beside_bad_values() -> None:
    found = mistakes(
        body(n=0, max_tokens=1, max_completion_tokens=2, stream_options={}, messages=[USER, SYSTEM])
    )
    assert sorted({str(field) for field, _ in found}) == [
        "max_tokens",
        "messages[1].role",
        "n",
        "stream_options",
    ]


def test_both_limits_may_agree() -> None:
    read = read_chat(body(max_tokens=5, max_completion_tokens=5))
    assert read.generations[0].sampling.max_tokens == 5


def test_the_largest_seed_counts_on_for_each_choice() -> None:
    seeds = [g.sampling.seed for g in read_chat(body(seed=2**63 - 1, n=2)).generations]
    assert seeds == [2**63 - 1, 2**63]


ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text("ab{}", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "type", "text", "{x}", *REQUEST_FIELDS]), inner
        )
    ),
    max_leaves=12,
)


@given(fields=st.dictionaries(st.sampled_from(["{x}", *REQUEST_FIELDS]), ANY_JSON))
def test_any_object_is_read_or_refused_with_texts(fields: dict[str, Any]) -> None:
    assert told({**body(), **fields})


def told(values: dict[str, Any]) -> list[str] | ChatRequest:
    """The request in `values`, or the texts of what is wrong with them."""
    try:
        return read_chat(values)
    except HextuneError as error:
        return [f"{found.message} {found.hint}" for found in error.problems]
