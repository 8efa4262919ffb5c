"""Spec files: one run in three formats, every mistake with its line, and the JSON Schema."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.catalog import FolderCatalog
from domain.errors import HextuneError, problem
from domain.run_plan import Origin
from domain.run_spec import CHOICES
from ports.spec_reader import SpecText
from tests.adapters.spec_reading import READER, SMALL, mistakes, places, read

SMALL_TOML = 'model.name = "fake"\n[[data.train]]\npath = "rows.jsonl"\n'
SMALL_JSON = '{"model": {"name": "fake"}, "data": {"train": [{"path": "rows.jsonl"}]}}'


@pytest.mark.parametrize(("format", "text"), [("toml", SMALL_TOML), ("json", SMALL_JSON)])
def test_a_spec_has_one_hash_in_every_format(format: str, text: str) -> None:
    assert read(text, format=format).spec == read().spec
    assert read(text, format=format).spec.hash == read().spec.hash


@pytest.mark.parametrize("format", ["yaml", "json"])
def test_a_spec_with_all_its_defaults_written_out_is_the_same_spec(format: str) -> None:
    whole = read().spec.as_json()
    text = json.dumps(whole) if format == "json" else yaml.safe_dump(json.loads(json.dumps(whole)))
    again = read(text, format=format)
    assert again.spec == read().spec
    assert again.spec.hash == read().spec.hash
    assert again.origins["schedule.max_grad_norm"] is Origin.FILE


@settings(max_examples=10)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "seed": st.integers(0, 2**32 - 1),
            "name": st.text("abc-", min_size=1),
            "batching": st.fixed_dictionaries({}, optional={"per_device": st.integers(1, 64)}),
            "schedule": st.fixed_dictionaries(
                {}, optional={"epochs": st.integers(1, 9), "warmup_ratio": st.floats(0, 0.9)}
            ),
            "method": st.one_of(
                st.just({"name": "full"}),
                st.fixed_dictionaries({"rank": st.integers(1, 64)}),
            ),
        },
    )
)
def test_a_spec_read_back_from_its_json_is_the_same(changes: dict[str, Any]) -> None:
    document = {**yaml.safe_load(SMALL), **changes}
    first = read(json.dumps(document), format="json").spec
    assert read(json.dumps(first.as_json()), format="json").spec == first
    assert read(yaml.dump(document)).spec.hash == first.hash


def test_a_whole_number_stands_for_the_same_fraction() -> None:
    assert (
        read(SMALL, "schedule.epochs=2").spec.hash == read(SMALL, "schedule.epochs=2.0").spec.hash
    )


@pytest.mark.parametrize(
    "override",
    ["seed=1", "model.revision=main", "method.rank=9", "method.name=full", "precision.mode=half"],
)
def test_another_value_is_another_hash(override: str) -> None:
    assert read(SMALL, override).spec.hash != read().spec.hash


def test_parts_that_are_not_chosen_come_with_their_defaults() -> None:
    spec = read().spec
    assert (spec.stage.name, spec.method.name, spec.optimizer.name) == ("sft", "lora", "adamw")
    assert spec.quantization is None
    assert spec.method.options["rank"] == 8
    assert spec.optimizer.options["learning_rate"] == 2e-4


MISTAKES = {
    "yaml": """\
model:
  name: fake
  revison: main
data:
  train:
    - path: a.jsonl
      format: alpca
  max_tokens: 4
method:
  name: lorra
schedule:
  epochs: lots
""",
    "toml": """\
[model]
name = "fake"
revison = "main"

[data]
max_tokens = 4
[[data.train]]
path = "a.jsonl"
format = "alpca"

[method]
name = "lorra"
[schedule]
epochs = "lots"
""",
    "json": """\
{
  "model": {"name": "fake",
            "revison": "main"},
  "data": {
    "train": [{"path": "a.jsonl",
               "format": "alpca"}],
    "max_tokens": 4
  },
  "method": {"name": "lorra"},
  "schedule": {"epochs": "lots"}
}
""",
}
LINES = {"yaml": (3, 7, 8, 10, 12), "toml": (3, 9, 6, 12, 14), "json": (3, 6, 7, 9, 10)}


@pytest.mark.parametrize("format", MISTAKES)
def test_five_mistakes_are_reported_at_once_each_with_its_line(format: str) -> None:
    revision, row_format, tokens, method, epochs = LINES[format]
    found = mistakes(MISTAKES[format], format=format)
    assert len(found) == 5
    assert places(found) == {
        ("spec-unknown-key", f"run.{format}:{revision} model.revison"),
        ("spec-bad-value", f"run.{format}:{row_format} data.train.0.format"),
        ("spec-bad-value", f"run.{format}:{tokens} data.max_tokens"),
        ("spec-unknown-name", f"run.{format}:{method} method.name"),
        ("spec-bad-value", f"run.{format}:{epochs} schedule.epochs"),
    }


@pytest.mark.parametrize(
    ("text", "code", "place", "words"),
    [
        ("", "spec-missing-key", "run.yaml model", "The model to start from."),
        ("model: {}\n", "spec-missing-key", "run.yaml:1 model.name", "A local folder, a .gguf"),
        (SMALL + "batching:\n  per_devise: 4\n", "spec-unknown-key",
         "run.yaml:4 batching.per_devise",
         "Did you mean `per_device`? Rows in one forward pass on one device."),
        (SMALL + "zzz: 1\n", "spec-unknown-key", "run.yaml:3 zzz", "Known here: model, data"),
        (SMALL + "method: {rnk: 2}\n", "spec-unknown-key", "run.yaml:3 method.rnk", "`rank`"),
        (SMALL + "method: {name: full, rank: 2}\n", "spec-unknown-key", "run.yaml:3 method.rank",
         "Known here: name."),
        (SMALL + "method: [lora]\n", "spec-bad-value", "run.yaml:3 method", "a mapping of keys"),
        (SMALL + "method: {targets: 3}\n", "spec-bad-value", "run.yaml:3 method.targets",
         "it should be 'all_linear'; or it should be a list"),
        (SMALL + "method: {name: 7}\n", "spec-unknown-name", "run.yaml:3 method.name", "Known: "),
        (SMALL + "quantization: {bits: 5}\n", "spec-bad-value", "run.yaml:3 quantization.bits",
         "it should be 4 or 8"),
        (SMALL + "seed: true\n", "spec-bad-value", "run.yaml:3 seed", "a valid integer"),
        (SMALL + "seed: '1'\n", "spec-bad-value", "run.yaml:3 seed", '"1"'),
        (SMALL + "name: no\nseed: -1\n", "spec-bad-value", "run.yaml:4 seed", "greater than"),
        (SMALL + "schedule: {max_grad_norm: .inf}\n", "spec-bad-value",
         "run.yaml:3 schedule.max_grad_norm", "a finite number"),
        (SMALL + "optimizer: {learning_rate: .nan}\n", "spec-bad-value",
         "run.yaml:3 optimizer.learning_rate", "a finite number"),
        (SMALL + "spec_version: 2\n", "spec-bad-value", "run.yaml:3 spec_version", "1"),
        (SMALL + f"seed: [{'1, ' * 40}]\n", "spec-bad-value", "run.yaml:3 seed", "..."),
        (SMALL + "name: !!binary aGk=\n", "spec-bad-value", "run.yaml", "bytes is no value"),
    ],
)  # fmt: skip
def test_a_mistake_says_where_it_is_and_what_would_do(
    text: str, code: str, place: str, words: str
) -> None:
    found = next(item for item in mistakes(text) if item.code == code)
    assert str(found.place) == place
    assert words in f"{found.message} {found.hint}"


@pytest.mark.parametrize(("text", "found"), [("- a\n", "list"), ("lora", "str"), ("3", "int")])
def test_a_spec_that_is_no_mapping_is_refused(text: str, found: str) -> None:
    assert [(item.code, item.facts["found"]) for item in mistakes(text)] == [
        ("spec-not-mapping", found)
    ]


def test_a_date_in_toml_is_text_like_in_yaml() -> None:
    assert read("name = 2024-01-02\n" + SMALL_TOML, format="toml").spec.name == "2024-01-02"
    assert read(SMALL + "name: 2024-01-02\n").spec.name == "2024-01-02"


@pytest.mark.parametrize(
    ("format", "text"),
    [
        ("yaml", SMALL + "method: {targets: [q_proj]}\n"),
        ("json", SMALL_JSON[:-1] + ', "method": {"targets": ["q_proj"]}}'),
        (
            "toml",
            'model = {name = "fake"}\ndata = {train = [{path = "rows.jsonl"}]}\n'
            '[method]\ntargets = [\n  "q_proj",\n]\n',
        ),
        (
            "toml",
            '[model]\nname = "fake"\n[[data.train]]\npath = "rows.jsonl"\n'
            '[method]\n"targets" = ["q_proj"]\n',
        ),
    ],
)
def test_what_a_file_sets_has_the_file_as_its_origin(format: str, text: str) -> None:
    assert dict(read(text, format=format).origins) == {
        "model.name": Origin.FILE,
        "data.train.0.path": Origin.FILE,
        "method.targets.0": Origin.FILE,
    }


def test_a_document_points_back_at_its_text() -> None:
    document = read(SMALL + "seed: 7\n", "method.rank=4")
    assert str(document.place("data.max_tokens")) == "run.yaml:2 data.max_tokens"
    assert str(document.place("method.rank")) == "override method.rank"
    assert str(document.place("schedule.epochs")) == "run.yaml schedule.epochs"
    placed = document.placed(problem("rule-one-length", document.place("seed")))
    assert str(placed.place) == "run.yaml:3 seed"


@pytest.mark.parametrize("suffix", ["yaml", "yml", "toml", "json"])
def test_a_files_ending_says_its_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"run.{suffix}"
    path.write_text({"toml": SMALL_TOML, "json": SMALL_JSON}.get(suffix, SMALL), encoding="utf-8")
    text = READER.load(str(path), ["seed=3"])
    assert text == SpecText(
        text=path.read_text(encoding="utf-8"),
        format="yaml" if suffix == "yml" else suffix,
        source=str(path),
        overrides=("seed=3",),
    )
    assert READER.read(text).spec.seed == 3


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("run.txt", b"", "spec-file-kind"),
        ("run", b"", "spec-file-kind"),
        ("gone.yaml", None, "spec-file-missing"),
        ("run.yaml", b"name: \xff\n", "spec-syntax"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, name: str, content: bytes | None, code: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(HextuneError) as caught:
        READER.load(str(path), [])
    assert [(item.code, item.place.file) for item in caught.value.problems] == [(code, str(path))]


def test_a_folder_is_no_spec_file(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").mkdir()
    with pytest.raises(HextuneError) as caught:
        READER.load(str(tmp_path / "run.yaml"), [])
    assert caught.value.problems[0].code == "spec-syntax"


SCHEMA: dict[str, Any] = dict(READER.json_schema())


def objects(node: Any) -> list[dict[str, Any]]:
    """Every object type in the schema."""
    if isinstance(node, list):
        return [found for item in node for found in objects(item)]
    if not isinstance(node, dict):
        return []
    own = [node] if node.get("type") == "object" else []
    return own + [found for item in node.values() for found in objects(item)]


def test_the_schema_closes_every_section_and_describes_every_key() -> None:
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert set(SCHEMA["required"]) == {"model", "data"}
    assert set(SCHEMA["properties"]) == set(read().spec.as_json())
    found = objects(SCHEMA)
    assert len(found) > 12
    for section in found:
        if "properties" not in section:
            continue  # a mapping by names of the user's own, such as new tokens
        assert section["additionalProperties"] is False
        for key, node in section["properties"].items():
            assert "description" in node or "$ref" in node, key


def test_the_schema_gives_limits_choices_and_defaults() -> None:
    data = SCHEMA["$defs"]["DataSection"]["properties"]
    assert data["mix"]["enum"] == [
        "concat",
        "interleave_under",
        "interleave_over",
        "interleave_once",
    ]
    assert data["eval_fraction"]["anyOf"][0] == {
        "type": "number",
        "exclusiveMinimum": 0,
        "exclusiveMaximum": 1,
    }
    lora = SCHEMA["$defs"]["methods_lora"]["properties"]
    assert (lora["name"]["const"], lora["rank"]["default"], lora["rank"]["minimum"]) == (
        "lora",
        8,
        1,
    )


@pytest.mark.parametrize("key", CHOICES)
def test_the_schema_offers_every_part_there_is(key: str) -> None:
    kind = CHOICES[key]
    for name in FolderCatalog().names(kind):
        assert f"#/$defs/{kind}_{name}" in json.dumps(SCHEMA["properties"][key])
        assert SCHEMA["$defs"][f"{kind}_{name}"]["properties"]["name"]["const"] == name
