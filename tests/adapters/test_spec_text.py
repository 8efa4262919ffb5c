"""Spec text: YAML 1.2 scalars, the line of every key in three formats, and broken syntax."""

import json
import math
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from adapters.spec_text import parse, parse_value
from domain.errors import HextuneError, Problem

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
KEY = st.text(st.characters(exclude_categories=["Cs"], max_codepoint=0xFFFF), max_size=6)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEY, inner, max_size=3),
    max_leaves=10,
)


def mistake(text: str, format: str) -> Problem:
    with pytest.raises(HextuneError) as caught:
        parse(text, format, f"run.{format}")
    assert len(caught.value.problems) == 1
    return caught.value.problems[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("Off", "Off"),
        ("y", "y"),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("nul", "nul"),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("-7", -7),
        ("+7", 7),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2e-4", 2e-4),
        ("1e3", 1000.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("-1.5E+2", -150.0),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("2024-01-01", "2024-01-01"),
        ("2024-01-01 10:00:00", "2024-01-01 10:00:00"),
        ("0.1.2", "0.1.2"),
        ("'12'", "12"),
        ("[q_proj, v_proj]", ["q_proj", "v_proj"]),
        ("{a: 1, b: [x]}", {"a": 1, "b": ["x"]}),
        ("builtin:smollm2", "builtin:smollm2"),
        ("a=b", "a=b"),
        ("=", "="),
        ("<<", "<<"),
    ],
)
def test_a_scalar_is_read_by_yaml_1_2(text: str, value: Any) -> None:
    found = parse_value(text)
    assert (found, type(found)) == (value, type(value))
    in_a_file, _ = parse(f"key: {text}\n", "yaml", "run.yaml")
    assert in_a_file == {"key": value}


def test_not_a_number_is_read() -> None:
    assert math.isnan(parse_value(".nan"))


@pytest.mark.parametrize("text", ["[", "{a", "a: b: c", "!!python/object:os.system x", "*x"])
def test_a_broken_override_value_is_yamls_error(text: str) -> None:
    with pytest.raises(yaml.YAMLError):
        parse_value(text)


YAML = """\
# a comment
model: {name: fake}   # line 2

data:
  train:
    - path: a.jsonl
      columns:
        prompt: q
    - {path: b.jsonl}
  max_tokens: 9
method:
  targets: [q_proj,
    v_proj]
"""

TOML = """\
seed = 1
model.name = "fake"

[data]
max_tokens = 9

[[data.train]]
path = "a.jsonl"
[data.train.columns]
prompt = "q"

[[data.train]]
path = "b.jsonl"
tags = {user = "me", assistant = "you"}
"""

JSON_TEXT = """\
{"model": {"name": "fake"},
\t"data": {
  "train": [{"path": "a.jsonl",
             "format": "alpaca"},
            {"path": "b.jsonl"}], "max_tokens": 9}
}
"""


@pytest.mark.parametrize(
    ("format", "text", "lines"),
    [
        (
            "yaml",
            YAML,
            {
                "model": 2,
                "model.name": 2,
                "data": 4,
                "data.train": 5,
                "data.train.0": 6,
                "data.train.0.path": 6,
                "data.train.0.columns": 7,
                "data.train.0.columns.prompt": 8,
                "data.train.1": 9,
                "data.train.1.path": 9,
                "data.max_tokens": 10,
                "method": 11,
                "method.targets": 12,
                "method.targets.0": 12,
                "method.targets.1": 13,
            },
        ),
        (
            "toml",
            TOML,
            {
                "seed": 1,
                "model.name": 2,
                "data": 4,
                "data.max_tokens": 5,
                "data.train.0": 7,
                "data.train.0.path": 8,
                "data.train.0.columns": 9,
                "data.train.0.columns.prompt": 10,
                "data.train.1": 12,
                "data.train.1.path": 13,
                "data.train.1.tags": 14,
                "data.train.1.tags.user": 14,
                "data.train.1.tags.assistant": 14,
            },
        ),
        (
            "json",
            JSON_TEXT,
            {
                "model": 1,
                "model.name": 1,
                "data": 2,
                "data.train": 3,
                "data.train.0": 3,
                "data.train.0.path": 3,
                "data.train.0.format": 4,
                "data.train.1": 5,
                "data.train.1.path": 5,
                "data.max_tokens": 5,
            },
        ),
    ],
)
def test_every_key_has_its_line(format: str, text: str, lines: dict[str, int]) -> None:
    value, places = parse(text, format, f"run.{format}")
    assert places == lines
    assert value["data"]["max_tokens"] == 9
    assert [source["path"] for source in value["data"]["train"]] == ["a.jsonl", "b.jsonl"]


@given(st.dictionaries(KEY, JSON, max_size=4), st.sampled_from([None, 0, 2]), st.booleans())
def test_any_json_document_is_read_as_json_reads_it(
    document: dict[str, Any], indent: int | None, ascii_only: bool
) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=ascii_only)
    value, places = parse(text, "json", "run.json")
    assert value == document
    assert set(document) <= set(places)


@given(st.dictionaries(KEY.filter(str.isalpha), TEXT.filter(str.isprintable), max_size=4))
def test_a_yaml_document_is_read_as_it_was_written(document: dict[str, str]) -> None:
    text = yaml.safe_dump(document, allow_unicode=True)
    quoted = yaml.safe_dump(document, default_style='"')
    assert parse(quoted, "yaml", "run.yaml")[0] == document
    assert set(parse(text, "yaml", "run.yaml")[0]) == set(document)


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n", "---\n"])
def test_an_empty_yaml_document_has_no_value(text: str) -> None:
    assert parse(text, "yaml", "run.yaml") == (None, {})


@pytest.mark.parametrize(
    ("format", "text", "line", "reason"),
    [
        ("yaml", "a: 1\n b: 2\n", 2, "mapping values are not allowed here"),
        ("yaml", "a: 'x\n", 2, "found unexpected end of stream"),
        ("yaml", "a: 1\n---\nb: 2\n", 2, "but found another document"),
        ("yaml", "a: !secret x\n", 1, "could not determine a constructor for the tag '!secret'"),
        ("yaml", "a: *x\n", 1, "found undefined alias 'x'"),
        ("yaml", "a:\n\tb: 1\n", 2, "found character '\\t' that cannot start any token"),
        ("yaml", "a: \x01\n", None, "unacceptable character #x0001"),
        ("yaml", "a: &x [*x]\n", None, "it is nested too deeply, or within itself"),
        ("yaml", "[" * 1500, None, "it is nested too deeply"),
        ("json", "[" * 50000, None, "it is nested too deeply"),
        ("toml", "a = " + "[" * 1500, None, "it is nested too deeply"),
        ("json", '{"a": 1,\n "b": }', 2, "Expecting value"),
        ("json", '{"a": 1', 1, "Expecting ',' delimiter"),
        ("json", "", 1, "Expecting value"),
        ("toml", "a = 1\nb = \n", 2, "Invalid value"),
        ("toml", "a = 1\na = 2\n", 2, "Cannot overwrite a value"),
        ("toml", "[a\n", 1, "Expected ']'"),
    ],
)
def test_broken_syntax_names_its_line_and_reason(
    format: str, text: str, line: int | None, reason: str
) -> None:
    found = mistake(text, format)
    assert found.code == "spec-syntax"
    assert (found.place.file, found.place.line) == (f"run.{format}", line)
    assert found.facts["format"] == format.upper()
    assert reason in found.facts["reason"]


@pytest.mark.parametrize(
    ("format", "text", "line", "field", "first"),
    [
        ("yaml", "seed: 1\nname: x\nseed: 2\n", 3, "seed", "1"),
        ("yaml", "data:\n  max_tokens: 9\n  'max_tokens': 8\n", 3, "data.max_tokens", "2"),
        ("json", '{"seed": 1,\n "seed": 1}', 2, "seed", "1"),
        ("json", '{"data": {"a": 1,\n "b": 2,\n "a": 3}}', 3, "data.a", "1"),
    ],
)
def test_a_key_that_stands_twice_is_refused(
    format: str, text: str, line: int, field: str, first: str
) -> None:
    found = mistake(text, format)
    assert found.code == "spec-duplicate-key"
    assert (found.place.line, found.place.field, found.facts["first"]) == (line, field, first)


def laughs(levels: int, opening: str) -> str:
    """Ten times the line before on each line; `opening` is how the first one is written."""
    lines = [f"a0: &a0 {opening}"]
    for n in range(1, levels + 1):
        again = ", ".join([f"*a{n - 1}"] * 10)
        lines.append(f"a{n}: &a{n} {{k: [{again}]}}" if n % 2 else f"a{n}: &a{n} [{again}]")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("opening", ["x", "[x, y]", "{k: 1}", "x" * 20_000], ids=len)
def test_aliases_that_blow_a_document_up_are_refused_where_they_do(opening: str) -> None:
    found = mistake(laughs(30, opening), "yaml")
    assert found.code == "spec-syntax"
    assert "with its aliases written out it is longer than 1" in found.facts["reason"]
    assert found.place.line is not None
    assert 1 < found.place.line <= 7
    with pytest.raises(yaml.YAMLError, match="written out"):
        parse_value("{" + laughs(30, opening).strip().replace("\n", ", ") + "}")


def test_a_key_cannot_blow_a_document_up_either() -> None:
    found = mistake(laughs(30, "[x]") + "? *a30\n: 1\n", "yaml")
    assert "written out" in found.facts["reason"]


def test_aliases_that_say_a_thing_twice_and_long_documents_are_read() -> None:
    text = "base: &b {rank: 8, dropout: 0.1}\nother: *b\n"
    found, places = parse(text, "yaml", "run.yaml")
    assert found["other"] == found["base"] == {"rank": 8, "dropout": 0.1}
    assert places["other"] == 2
    long = [{"path": f"rows-{n}.jsonl", "": [None] * 9} for n in range(3000)]
    assert parse(json.dumps(long), "json", "run.json")[0] == long
    text = "[" + "a," * 90_000 + "]"
    assert len(parse(text, "yaml", "run.yaml")[0]) == 90_000
