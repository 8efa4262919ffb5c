"""Overrides: their types, where they may reach, what is refused, and that they are remembered."""

from typing import Any

import pytest

from domain.planning import leaves, origin_of
from domain.run_plan import Origin
from tests.adapters.spec_reading import SMALL, mistakes, places, read

TWO = "model: {name: fake}\ndata:\n  train:\n    - path: a\n    - path: b\nmethod: {rank: 4}\n"


def value(text: str, *overrides: str, key: str) -> Any:
    return dict(leaves(read(text, *overrides).spec.as_json()))[key]


@pytest.mark.parametrize(
    ("override", "key", "expected"),
    [
        ("method.rank=16", "method.rank", 16),
        ("optimizer.learning_rate=2e-4", "optimizer.learning_rate", 2e-4),
        ("optimizer.learning_rate=1E-5", "optimizer.learning_rate", 1e-5),
        ("batching.group_by_length=true", "batching.group_by_length", True),
        ("name=no", "name", "no"),
        ("name=2024-01-01", "name", "2024-01-01"),
        ("name='12'", "name", "12"),
        ("name=a=b", "name", "a=b"),
        ("name=line one\\n", "name", "line one\\n"),
        ("model.revision=null", "model.revision", None),
        ("model.revision=", "model.revision", None),
        ("method.targets=[q_proj, v_proj]", "method.targets.1", "v_proj"),
        ("data.train.1.path=c", "data.train.1.path", "c"),
        ("data.train.0.columns.prompt=q", "data.train.0.columns.prompt", "q"),
        ("data.train=[{path: z}]", "data.train.0.path", "z"),
        ("data.eval=[{path: z, format: alpaca}]", "data.eval.0.format", "alpaca"),
        ("schedule={max_steps: 4}", "schedule.max_steps", 4),
        ("quantization.name=bitsandbytes", "quantization.bits", 4),
        ("quantization.bits=8", "quantization.name", "bitsandbytes"),
    ],
)
def test_an_override_sets_a_value_as_yaml_reads_it(override: str, key: str, expected: Any) -> None:
    found = value(TWO, override, key=key)
    assert (found, type(found)) == (expected, type(expected))


def test_overrides_apply_in_order() -> None:
    assert value(TWO, "seed=1", "seed=2", key="seed") == 2
    document = read(TWO, "data.train=[{path: x}, {path: y}]", "data.train.1.path=z")
    assert [source.path for source in document.spec.data.train] == ["x", "z"]


@pytest.mark.parametrize(
    "text",
    [
        "rank",
        "=3",
        "method.=3",
        ".rank=3",
        "method rank=3",
        "met-hod.rank=3",
        "seed=[",
        "seed=*x",
        "seed=&a [*a]",
        f"seed=[&a [{'1,' * 500}], &b [{'*a,' * 500}], *b]",
        "seed=!!python/object/apply:os.getcwd []",
        "seed=" + "[" * 1500,
        "data.train.2.path=c",
        "data.train.x.path=c",
        "data.train.-1.path=c",
        "data.train.x=c",
        "data.eval.0.path=c",
        "model.name.first=x",
        "model.name.0=x",
        "seed.0=3",
    ],
)
def test_what_is_no_override_is_refused_by_its_own_text(text: str) -> None:
    found = mistakes(TWO, text)
    assert [(item.code, item.place.file, item.facts["text"]) for item in found] == [
        ("spec-bad-override", "override", text)
    ]


@pytest.mark.parametrize(
    ("override", "code", "place", "words"),
    [
        ("method.rnak=3", "spec-unknown-key", "override method.rnak", "Did you mean `rank`?"),
        ("methd.rank=3", "spec-unknown-key", "override methd", "Did you mean `method`?"),
        ("a.b.c=3", "spec-unknown-key", "override a", "Known here: model"),
        ("method.rank=0", "spec-bad-value", "override method.rank", "cannot be 0"),
        ("method.rank=many", "spec-bad-value", "override method.rank", "a valid integer"),
        ("method=lora", "spec-bad-value", "override method", "a mapping of keys"),
        ("method.name=lorra", "spec-unknown-name", "override method.name", "`lora`"),
        ("schedule=null", "spec-bad-value", "override schedule", "a mapping of keys"),
        ("data.train=3", "spec-bad-value", "override data.train", "a list"),
        ("model={}", "spec-missing-key", "override model.name", "Add it"),
    ],
)
def test_a_wrong_override_is_reported_as_the_override(
    override: str, code: str, place: str, words: str
) -> None:
    found = mistakes(TWO, override)
    assert (code, place) in places(found)
    assert words in " ".join(f"{item.message} {item.hint}" for item in found)


def test_mistakes_in_file_and_overrides_come_together() -> None:
    found = mistakes(SMALL + "seed: -1\n", "rank", "method.rank=0", "stage.name=sfd")
    assert places(found) == {
        ("spec-bad-override", "override rank"),
        ("spec-bad-value", "override method.rank"),
        ("spec-unknown-name", "override stage.name"),
        ("spec-bad-value", "run.yaml:3 seed"),
    }


def test_an_override_is_the_origin_of_what_it_sets_and_of_all_inside() -> None:
    document = read(TWO, "data.train=[{path: z}]", "method.rank=16", "schedule.max_steps=4")
    assert dict(document.origins) == {
        "model.name": Origin.FILE,
        "data.train": Origin.OVERRIDE,
        "method.rank": Origin.OVERRIDE,
        "schedule.max_steps": Origin.OVERRIDE,
    }
    assert origin_of("data.train.0.path", document.origins) is Origin.OVERRIDE
    assert origin_of("model.name", document.origins) is Origin.FILE
    assert origin_of("model.revision", document.origins) is Origin.DEFAULT


def test_an_override_of_one_row_leaves_the_others_to_the_file() -> None:
    origins = read(TWO, "data.train.0.path=z").origins
    assert origins["data.train.0.path"] is Origin.OVERRIDE
    assert origins["data.train.1.path"] is Origin.FILE


def test_an_override_replaces_a_value_whatever_it_was() -> None:
    assert read(TWO + "seed: -1\n", "seed=3").spec.seed == 3
