"""Planning a run: spec, model, data and rules are judged together, before anything loads."""

from dataclasses import replace
from typing import Any

import pytest
from dependency_injector import providers

from domain.errors import Place, fail
from domain.fingerprint import Json
from domain.run_plan import Origin
from entrypoints.services.plan_run import Planned
from tests.fakes.container import SPEC
from tests.fakes.models import CPU, HANDLE, FakeHardwareProbe, FakeModelBackend
from tests.services.world import World, codes, problems, spec_text


class NothingLoads(FakeModelBackend):
    """A model backend that must only be looked at."""

    def load(self, *arguments: Any) -> Any:
        raise AssertionError("a weight was loaded while planning")


class Packing:
    """A quantizer that takes half a byte a weight, or is not installed."""

    def __init__(self, installed: bool) -> None:
        self.installed = installed

    def check(self, options: dict[str, Json], model: Any, hardware: Any) -> None:
        if not self.installed:
            raise fail(
                "package-missing",
                Place(field="quantization.name"),
                feature="quantization",
                package="bitsandbytes",
                install="pip install it",
            )

    def bytes_per_weight(self, options: dict[str, Json], model: Any) -> float:
        return 0.5


def plan(world: World, text: str = SPEC, *overrides: str) -> Planned:
    planned: Planned = world.container.plan_run()(spec_text(text, *overrides))
    return planned


def test_a_plan_counts_rows_and_steps_without_loading_a_weight() -> None:
    world = World()
    world.put(models=NothingLoads())
    planned = plan(world)
    assert planned.plan.spec_hash == planned.document.spec.hash
    assert planned.plan.steps.total_steps == 3
    assert planned.plan.data["train_rows"] == len(planned.data.train) == 8
    assert planned.plan.trainer.trainable == 1000


def test_decisions_tell_file_override_and_default_apart() -> None:
    planned = plan(World(), SPEC, "seed=7")
    origins = {item.key: item.origin for item in planned.plan.decisions}
    assert origins["seed"] is Origin.OVERRIDE
    assert origins["model.name"] is Origin.FILE
    assert origins["model.revision"] is Origin.DEFAULT
    assert origins["steps"] is Origin.DERIVED


def test_rule_model_and_data_problems_come_in_one_error() -> None:
    text = (
        "model: {name: nowhere}\n"
        "data:\n"
        "  train:\n"
        "    - path: gone.jsonl\n"
        "schedule: {epochs: 1, max_steps: 3}\n"
        "precision: {mode: full, dtype: bfloat16}\n"
    )
    found = problems(plan, World(), text)
    assert [(item.code, str(item.place)) for item in found] == [
        ("model-missing", "run.yaml:1 model.name"),
        ("data-file-missing", "run.yaml:4 data.train.0.path"),
        ("rule-one-length", "run.yaml:5 schedule.max_steps"),
        ("rule-full-precision-dtype", "run.yaml:6 precision.dtype"),
    ]


def test_mistakes_in_the_spec_come_before_anything_is_looked_at() -> None:
    text = "model: {name: nowhere}\ndata: {train: [{path: gone.jsonl}], max_tokens: 1}\nx: 1\n"
    assert set(codes(plan, World(), text)) == {"spec-bad-value", "spec-unknown-key"}


def test_rows_are_checked_even_where_the_model_is_missing() -> None:
    rows: Any = {"rows.jsonl": [{"instruction": "Q", "output": ""}]}
    text = SPEC.replace("name: fake", "name: nowhere")
    assert codes(plan, World(rows=rows), text) == ["model-missing", "data-bad-row"]


def test_a_bad_row_stands_in_its_own_file_not_in_the_spec() -> None:
    rows: Any = {
        "rows.jsonl": [{"instruction": "Q", "output": "A"}, {"instruction": 1, "output": ""}]
    }
    found = problems(plan, World(rows=rows))
    assert [str(item.place) for item in found] == ["rows.jsonl:2 instruction"]


def test_a_model_without_a_chat_template_is_a_broken_rule_beside_bad_rows() -> None:
    rows: Any = {"rows.jsonl": [{"instruction": "Q", "output": ""}]}
    world = World(rows=rows)
    world.put(models=FakeModelBackend(replace(HANDLE, has_chat_template=False)))
    assert codes(plan, world) == ["data-bad-row", "rule-no-chat-template"]
    world = World()
    world.put(models=FakeModelBackend(replace(HANDLE, has_chat_template=False)))
    assert codes(plan, world) == ["rule-no-chat-template"]


def test_a_run_that_does_not_fit_the_machine_is_refused() -> None:
    world = World()
    world.put(hardware=FakeHardwareProbe(replace(CPU, memory_bytes=1024**2)))
    found = problems(plan, world)
    assert [(item.code, item.exit_code) for item in found] == [("rule-does-not-fit", 5)]


def test_what_deserves_a_look_is_in_the_plan_and_refuses_nothing() -> None:
    world = World()
    assert plan(world).plan.warnings == []
    world.put(hardware=FakeHardwareProbe(replace(CPU, free_bytes=1024**2)))
    warnings = plan(world).plan.warnings
    assert [(item.code, item.place.file) for item in warnings] == [
        ("rule-tight-memory", "run.yaml")
    ]


def test_rows_that_are_all_too_long_leave_nothing_to_train_on() -> None:
    found = problems(plan, World(), SPEC, "data.max_tokens=8")
    assert [item.code for item in found] == ["rule-too-few-rows"]
    assert found[0].facts == {"rows": "0", "dropped": "8"}


def test_a_row_limit_that_is_not_set_follows_the_model() -> None:
    world = World()
    world.put(models=FakeModelBackend(replace(HANDLE, context_tokens=10)))
    assert codes(plan, world) == ["rule-too-few-rows"]


@pytest.mark.parametrize(("installed", "expected"), [(True, []), (False, ["package-missing"])])
def test_a_quantizer_that_is_not_installed_is_told_while_planning(
    installed: bool, expected: list[str]
) -> None:
    world = World()
    world.container.quantizer.override(providers.Factory(lambda name: Packing(installed)))
    asked = ("quantization.name=bitsandbytes", "precision.mode=mixed")
    if expected:
        found = problems(plan, world, SPEC, *asked)
        assert [item.code for item in found] == expected
        assert str(found[0].place) == "override quantization.name"
    else:
        plain = plan(world, SPEC, "precision.mode=mixed").plan.memory.weights
        assert plan(world, SPEC, *asked).plan.memory.weights < plain


def test_full_training_of_quantized_weights_is_refused() -> None:
    world = World()
    world.container.quantizer.override(providers.Factory(lambda name: Packing(True)))
    asked = ("quantization.name=bitsandbytes", "precision.mode=mixed", "method.name=full")
    assert codes(plan, world, SPEC, *asked) == ["rule-quantized-needs-adapter"]
