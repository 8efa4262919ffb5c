"""The spec's hash: one for every spelling of the same run, another for any other value."""

import dataclasses
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.dataset import DataSource
from domain.fingerprint import canonical, fingerprint
from domain.precision import PrecisionSection
from domain.run_spec import (
    CHOICES,
    BatchingSection,
    Choice,
    ModelSection,
    OutputSection,
    RunSpec,
    ScheduleSection,
    TrackingSection,
)
from tests.domain.builders import data_section, spec

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc"), inner, max_size=4),
    max_leaves=12,
)

CHANGES: list[dict[str, Any]] = [
    {"model": ModelSection(name="other")},
    {"model": ModelSection(name="fake", revision="main")},
    {"model": ModelSection(name="fake", gradient_checkpointing=True)},
    {"data": data_section(max_tokens=9)},
    {"data": data_section(train=(DataSource(path="rows.jsonl", format="alpaca"),))},
    {"data": data_section(train=(DataSource(path="rows.jsonl"),) * 2)},
    {"stage": Choice("dpo", {})},
    {"method": Choice("lora", {"rank": 9})},
    {"quantization": Choice("bitsandbytes", {"bits": 4})},
    {"precision": PrecisionSection(mode="half")},
    {"optimizer": Choice("adamw", {"learning_rate": 2.1e-4})},
    {"schedule": ScheduleSection(epochs=3)},
    {"batching": BatchingSection(accumulate=2)},
    {"tracking": TrackingSection(log_every_steps=2)},
    {"output": OutputSection(keep_checkpoints=3)},
    {"name": "other"},
    {"seed": 43},
]


def test_every_value_is_part_of_the_hash() -> None:
    hashes = {spec(**change).hash for change in [{}, *CHANGES]}
    assert len(hashes) == len(CHANGES) + 1


def test_equal_specs_have_equal_hashes_of_64_hex_digits() -> None:
    assert spec().hash == spec(seed=42, name="run").hash
    assert len(spec().hash) == 64
    assert int(spec().hash, 16) > 0


def test_the_order_of_options_does_not_matter() -> None:
    one = spec(method=Choice("lora", {"rank": 8, "dropout": 0.0}))
    other = spec(method=Choice("lora", {"dropout": 0.0, "rank": 8}))
    assert one.hash == other.hash


def test_a_spec_is_written_in_the_layout_of_a_file() -> None:
    document = spec().as_json()
    assert document["method"] == {"name": "lora", "rank": 8}
    assert document["quantization"] is None
    assert set(document) == {field.name for field in dataclasses.fields(RunSpec)}
    assert json.loads(canonical(document)) == json.loads(json.dumps(document))


def test_choices_are_keys_of_a_spec() -> None:
    assert set(CHOICES) <= {field.name for field in dataclasses.fields(RunSpec)}


def test_sections_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec().seed = 1  # type: ignore[misc]
    assert replace(spec(), seed=1).seed == 1


@pytest.mark.parametrize(
    ("max_tokens", "context", "limit"), [(None, 8192, 1024), (None, 512, 512), (600, 512, 600)]
)
def test_the_longest_row_follows_the_model_unless_set(
    max_tokens: int | None, context: int, limit: int
) -> None:
    assert data_section(max_tokens=max_tokens).row_limit(context) == limit


@given(JSON)
def test_canonical_json_reads_back_and_ignores_key_order(value: Any) -> None:
    assert json.loads(canonical(value)) == value
    if isinstance(value, dict):
        turned = dict(reversed(list(value.items())))
        assert fingerprint(turned) == fingerprint(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": float("-inf")}])
def test_what_json_lacks_has_no_fingerprint(value: object) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        fingerprint(value)


def test_types_json_lacks_are_refused() -> None:
    with pytest.raises(TypeError):
        canonical({1, 2})
