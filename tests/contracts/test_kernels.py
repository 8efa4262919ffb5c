"""Kernels of other packages: refused here before anything loads, and handed on as planned."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from adapters.models import hf
from adapters.training_arguments import training_arguments
from domain.errors import HextuneError
from domain.run_spec import ModelSection
from entrypoints.container import Container, make_container
from ports.trainer import TrainRequest
from tests.contracts.test_trainer import spec_text


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return make_container(str(tmp_path / "runs"))


@pytest.mark.parametrize("name", ["liger", "unsloth"])
def test_they_are_refused_on_a_cpu_with_a_reason_and_a_hint(
    container: Container,
    tiny_model: Path,
    rows_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    def loaded(*arguments: Any, **settings: Any) -> Any:
        raise AssertionError("weights were loaded")

    monkeypatch.setattr(hf, "load_network", loaded)
    monkeypatch.setattr(hf, "load_unsloth", loaded)
    text = replace(spec_text(tiny_model, rows_file), overrides=(f"model.kernels={name}",))
    with pytest.raises(HextuneError) as caught:
        container.plan_run()(text)
    [found] = caught.value.problems
    assert found.code == "rule-kernels-unavailable"
    assert found.facts["name"] == name
    assert "Triton" in str(found.facts["reason"])
    assert "model.kernels=none" in found.hint


@pytest.mark.parametrize("name", ["none", "liger", "unsloth"])
def test_liger_is_switched_on_in_the_training_arguments(
    container: Container, tiny_model: Path, rows_file: Path, tmp_path: Path, name: str
) -> None:
    planned = container.plan_run()(spec_text(tiny_model, rows_file))
    spec = planned.document.spec
    asked = replace(spec, model=replace(spec.model, kernels=name))
    request = TrainRequest(
        spec=asked,
        plan=planned.plan,
        data=planned.data,
        model=SimpleNamespace(handle=planned.plan.model),
        folder=str(tmp_path),
        resume=False,
        stop_asked=lambda: False,
    )
    assert training_arguments(request)["use_liger_kernel"] is (name == "liger")


def test_unsloth_loads_what_was_planned_and_nothing_else(
    container: Container,
    tiny_model: Path,
    rows_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its own defaults would pack the weights and take another upload of the same name."""
    asked: dict[str, Any] = {}
    network = object()

    def from_pretrained(path: str, **settings: Any) -> tuple[object, None]:
        asked.update(settings, path=path)
        return network, None

    package: Callable[..., Any] = SimpleNamespace
    stand_in = package(FastLanguageModel=package(from_pretrained=from_pretrained))
    monkeypatch.setitem(sys.modules, "unsloth", stand_in)
    planned = container.plan_run()(spec_text(tiny_model, rows_file))
    precision = replace(planned.plan.precision, weights="bfloat16")
    section = ModelSection(name=str(tiny_model), kernels="unsloth")
    loaded: Any = container.models().load(section, precision, None)
    assert loaded.network is network
    assert (asked["path"], asked["dtype"]) == (str(tiny_model), torch.bfloat16)
    assert asked["load_in_4bit"] is False
    assert asked["use_exact_model_name"] is True
    assert asked["max_seq_length"] == 512
    assert "attn_implementation" not in asked
