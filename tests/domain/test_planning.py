"""Planning: every value with its origin and reason, every derived figure with its reason."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.dataset import DataSource
from domain.errors import problem
from domain.planning import estimate, leaves, make_plan, origin_of
from domain.precision import PrecisionSection
from domain.run_plan import Decision, Origin, RunPlan
from domain.run_spec import BatchingSection, Choice, ModelSection, ScheduleSection
from tests.domain.builders import FACTS, data_section, plan, prepared, row, spec
from tests.fakes.models import CPU, HANDLE

NESTED = st.recursive(
    st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("xyz", min_size=1), inner),
    max_leaves=10,
)


def decision(made: RunPlan, key: str) -> Decision:
    """The last decision of that key: what was derived overrules what was left out."""
    return [item for item in made.decisions if item.key == key][-1]


def told(made: RunPlan, key: str) -> tuple[Any, str]:
    found = decision(made, key)
    assert found.origin is Origin.DERIVED
    return found.value, found.reason


@pytest.mark.parametrize(
    ("key", "origin"),
    [
        ("seed", Origin.OVERRIDE),
        ("method.rank", Origin.FILE),
        ("data.train.0.path", Origin.FILE),
        ("data.train.0.columns.prompt", Origin.DEFAULT),
        ("data.eval.0.path", Origin.OVERRIDE),
        ("name", Origin.DEFAULT),
    ],
)
def test_an_origin_is_the_keys_own_or_of_what_is_around_it(key: str, origin: Origin) -> None:
    origins = {
        "seed": Origin.OVERRIDE,
        "method.rank": Origin.FILE,
        "data.train.0.path": Origin.FILE,
        "data.eval": Origin.OVERRIDE,
    }
    assert origin_of(key, origins) is origin


def test_every_value_of_the_spec_is_a_decision_with_a_reason() -> None:
    asked = spec()
    made = plan(asked, {"seed": Origin.OVERRIDE, "model.name": Origin.FILE})
    listed = {item.key: item for item in made.decisions if item.origin is not Origin.DERIVED}
    assert {key: item.value for key, item in listed.items()} == dict(leaves(asked.as_json()))
    assert (listed["seed"].origin, listed["seed"].reason) == (
        Origin.OVERRIDE,
        "set by an override",
    )
    assert listed["model.name"].reason == "set in the spec"
    assert listed["method.rank"].reason == "not set"


@given(st.dictionaries(st.text("xyz", min_size=1), NESTED, min_size=1))
def test_leaves_are_all_that_is_not_a_filled_mapping_or_list(document: dict[str, Any]) -> None:
    for path, value in leaves(document):
        found: Any = document
        for key in path.split("."):
            found = found[int(key) if isinstance(found, list) else key]
        assert found == value
        assert not (isinstance(value, (dict, list)) and value)


def test_an_empty_list_is_a_leaf() -> None:
    assert list(leaves({"a": {"b": []}, "c": ({"d": 1},)})) == [("a.b", []), ("c.0.d", 1)]


def test_formats_that_were_found_are_told_for_training_and_held_out_rows() -> None:
    asked = spec(
        data=data_section(
            train=(DataSource(path="rows.jsonl"), DataSource(path="b", format="alpaca")),
            eval=(DataSource(path="held"),),
        )
    )
    data = prepared(formats={"rows.jsonl": "alpaca", "b": "alpaca", "held": "sharegpt"})
    made = plan(asked, data=data)
    assert told(made, "data.train.0.format") == ("alpaca", "the columns of the first row")
    assert told(made, "data.eval.0.format") == ("sharegpt", "the columns of the first row")
    assert decision(made, "data.train.1.format").origin is Origin.DEFAULT


def test_rows_left_out_are_counted_in_the_plan() -> None:
    data = prepared((row(10, 4),), rows_read=4, dropped=["a", "b"], too_long=["c"])
    made = plan(data=data)
    assert told(made, "data.rows") == (1, "of 4 read; 2 unusable, 1 too long")
    reason = "40.0% of 10 tokens in one epoch carry a loss"
    assert told(made, "data.trained_tokens") == (4, reason)
    assert made.data["dropped"] == ["a", "b"]
    assert made.data["longest_tokens"] == 10


def test_a_row_limit_that_was_not_set_is_told() -> None:
    reason = f"the model's context is {HANDLE.context_tokens}"
    assert told(plan(), "data.max_tokens") == (1024, reason)
    asked = plan(spec(data=data_section(max_tokens=64)))
    assert decision(asked, "data.max_tokens").origin is Origin.DEFAULT


def test_steps_of_epochs_are_told_with_their_batches() -> None:
    made = plan(spec(batching=BatchingSection(per_device=1, accumulate=2)))
    assert told(made, "schedule.epochs") == (3.0, "neither epochs nor max_steps is set")
    assert told(made, "steps") == (3, "3 epochs of 1 steps, 1 x 2 rows each")
    assert told(made, "schedule.warmup_steps") == (1, "3% of the steps")
    assert told(made, "tokens") == (90, "6 of them carry a loss")


def test_steps_that_were_set_are_told_with_the_epochs_they_make() -> None:
    schedule = ScheduleSection(max_steps=5, warmup_ratio=0.2)
    made = plan(spec(schedule=schedule, batching=BatchingSection(per_device=1)))
    assert told(made, "steps") == (5, "schedule.max_steps; 2.50 epochs, 1 x 1 rows each")
    assert told(made, "schedule.warmup_steps") == (1, "schedule.warmup_ratio of the steps")
    assert decision(made, "schedule.epochs").origin is Origin.DEFAULT


def test_warm_up_steps_that_were_set_are_not_derived() -> None:
    made = plan(spec(schedule=ScheduleSection(epochs=1, warmup_steps=2)))
    assert decision(made, "schedule.warmup_steps").origin is Origin.DEFAULT
    assert decision(made, "schedule.epochs").value == 1


@pytest.mark.parametrize(
    ("mode", "line"),
    [
        ("full", "float32 throughout"),
        ("half", "bfloat16 throughout, trained weights included"),
        ("mixed", "bfloat16 compute, float32 trained weights"),
    ],
)
def test_the_precision_is_told_in_words(mode: str, line: str) -> None:
    made = plan(spec(precision=PrecisionSection(mode=mode)))  # type: ignore[arg-type]
    assert told(made, "precision")[0] == line


def test_packs_are_told_and_counted_as_sequences() -> None:
    rows = (row(10, 4), row(20, 5), row(6, 1))
    data = prepared(rows, packs=[[1, 0], [2]])
    made = plan(spec(batching=BatchingSection(per_device=1, packing=True)), data=data)
    assert told(made, "batching.packs") == (2, "3 rows packed, 18 tokens each")
    assert (made.steps.train_rows, made.steps.steps_per_epoch) == (2, 2)
    assert (made.data["packs"], made.data["train_rows"]) == (2, 3)
    assert made.data["longest_tokens"] == 30
    assert told(made, "tokens") == (108, "30 of them carry a loss")
    unpacked = plan(data=prepared(rows))
    assert unpacked.data["packs"] is None
    assert "batching.packs" not in {item.key for item in unpacked.decisions}


def test_formats_of_hub_sources_are_told_by_their_names() -> None:
    asked = spec(data=data_section(train=(DataSource(hub="org/rows"),)))
    made = plan(asked, data=prepared(formats={"org/rows": "openai"}))
    assert told(made, "data.train.0.format") == ("openai", "the columns of the first row")


def test_the_template_is_told_with_where_it_is_from() -> None:
    assert told(plan(), "template") == ("t" * 12, "the tokenizer's own")
    named = replace(HANDLE, template="{{ x }}", template_reason="chatml: set in the spec")
    assert told(plan(model=named), "template") == ("t" * 12, "chatml: set in the spec")


def test_device_memory_and_what_learns_are_told() -> None:
    made = plan()
    assert told(made, "device") == ("fake CPU", "the first cpu device")
    assert told(made, "trainable") == (1000, "0.10% of 1,000,000 weights")
    assert told(made, "memory")[1] == "for 4 rows of 20 tokens, the longest row"


def test_the_estimate_follows_the_spec() -> None:
    eager = spec(model=ModelSection(name="fake", attention="eager"))
    longer = [estimate(each, CPU, HANDLE, FACTS, None, 100).total for each in (spec(), eager)]
    assert longer[0] < longer[1]
    packed = spec(quantization=Choice("bitsandbytes", {}))
    assert (
        estimate(packed, CPU, HANDLE, FACTS, 0.5, 100).weights
        < estimate(packed, CPU, HANDLE, FACTS, None, 100).weights
    )


def test_a_plan_is_plain_json_with_the_specs_hash() -> None:
    asked, data = spec(), prepared()
    made = make_plan(
        spec=asked,
        origins={},
        hardware=CPU,
        model=HANDLE,
        trainer=FACTS,
        data=data,
        memory=estimate(asked, CPU, HANDLE, FACTS, None, data.longest),
    )
    document = json.loads(json.dumps(made.as_json()))
    assert document["spec_hash"] == asked.hash
    assert document["memory"]["total"] == made.memory.total
    assert document["steps"]["total_steps"] == made.steps.total_steps
    assert document["warnings"] == []


def test_warnings_are_written_as_problems() -> None:
    warned = replace(plan(), warnings=[problem("rule-one-length")])
    warnings: Any = warned.as_json()["warnings"]
    assert warnings[0]["code"] == "rule-one-length"
