"""Evaluation specs: defaults, overrides, every mistake at once, one hash whatever the format."""

from pathlib import Path

import pytest

from adapters.eval_spec_file import FileEvalSpecReader
from domain.errors import HextuneError
from domain.eval_spec import EvalSpec
from ports.spec_reader import SpecText

EXAMPLES = sorted((Path(__file__).parents[2] / "examples" / "evaluation").glob("*.yaml"))
YAML = """\
model: {name: last}
exams:
  - {name: mmlu, path: mmlu.zip, subjects: [anatomy], limit: 20}
  - {name: ceval, path: ceval.zip, shots: 0}
perplexity:
  - data: [{path: docs.jsonl}]
    over: all
problems:
  - {data: {path: gsm8k.jsonl}, limit: 5}
"""
TOML = """\
perplexity = [{data = [{path = "docs.jsonl"}], over = "all"}]
[model]
name = "last"
[[exams]]
name = "mmlu"
path = "mmlu.zip"
subjects = ["anatomy"]
limit = 20
[[exams]]
name = "ceval"
path = "ceval.zip"
shots = 0
[[problems]]
limit = 5
data = {path = "gsm8k.jsonl"}
"""


def read(text: str, *overrides: str, format: str = "yaml") -> EvalSpec:
    asked = SpecText(text=text, format=format, source="eval.yaml", overrides=overrides)
    return FileEvalSpecReader().read(asked)


def test_a_spec_has_its_defaults_and_its_titles() -> None:
    spec = read(YAML)
    assert [each.shown for _, each in spec.evaluations] == [
        "mmlu 5-shot", "ceval 0-shot", "perplexity", "problems 0-shot",
    ]  # fmt: skip
    assert [key for key, _ in spec.evaluations] == [
        "exams.0", "exams.1", "perplexity.0", "problems.0",
    ]  # fmt: skip
    assert (spec.exams[0].limit, spec.exams[0].split, spec.model.compare_base) == (20, None, True)


def test_the_hash_is_of_the_content() -> None:
    assert read(YAML).hash == read(TOML, format="toml").hash
    assert read(YAML).hash != read(YAML, "seed=1").hash


def test_overrides_reach_into_lists() -> None:
    spec = read(YAML, "exams.0.limit=3", "model.name=builtin:x", "exams.1.subjects=[law]")
    assert (spec.exams[0].limit, spec.model.name) == (3, "builtin:x")
    assert spec.exams[1].subjects == ("law",)


def test_every_mistake_is_told_with_its_line() -> None:
    text = YAML.replace("shots: 0", "shots: -1").replace("limit: 5", "limt: 5")
    with pytest.raises(HextuneError) as caught:
        read(text, "nonsense")
    assert sorted((found.code, found.place.line or 0) for found in caught.value.problems) == [
        ("spec-bad-override", 0),
        ("spec-bad-value", 4),
        ("spec-unknown-key", 9),
    ]


def test_every_key_is_documented() -> None:
    schema = FileEvalSpecReader().json_schema()
    definitions: dict[str, dict[str, dict[str, dict[str, str]]]] = schema["$defs"]  # type: ignore[assignment]
    sections = [name for name in definitions if name.endswith(("Section", "Model"))]
    assert len(sections) == 7
    for name in sections:
        for key, value in definitions[name]["properties"].items():
            assert value.get("description"), f"{name}.{key}"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_a_valid_spec(path: Path) -> None:
    assert read(path.read_text(encoding="utf-8")).evaluations
