"""Norms and logits in float32 within a run of 16 bits: seen in the pass, and in what is saved."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from adapters.models import hf
from adapters.models.upcasting import upcast
from domain.precision import PrecisionSection
from domain.run_spec import ModelSection
from entrypoints.container import Container, make_container
from entrypoints.services.plan_run import Planned
from tests.contracts.test_trainer import losses, run, spec_text
from tests.fixtures.tiny_families import build_tiny_family

BOTH = {"upcast_norms": True, "upcast_logits": True}


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return make_container(str(tmp_path / "runs"))


def seen_dtypes(network: Any, ids: Any) -> dict[str, set[str]]:
    """Dtypes of what norms compute, what they give, what linear layers take and what logits are."""
    found: dict[str, set[str]] = {"norms": set(), "given": set(), "linear": set()}
    for module in network.modules():
        if "Norm" in type(module).__name__:
            module.register_forward_pre_hook(
                lambda module, inputs: found["norms"].add(str(inputs[0].dtype)[6:])
            )
            module.register_forward_hook(
                lambda module, inputs, output: found["given"].add(str(output.dtype)[6:])
            )
        if isinstance(module, torch.nn.Linear):
            module.register_forward_pre_hook(
                lambda module, inputs: found["linear"].add(str(inputs[0].dtype)[6:])
            )
    logits = network(input_ids=ids, use_cache=False).logits
    return found | {"logits": {str(logits.dtype)[6:]}}


@pytest.mark.parametrize("kind", ["llama", "gemma2", "gpt2", "granitemoehybrid", "qwen3"])
def test_only_norms_and_logits_are_float32(tmp_path: Path, container: Container, kind: str) -> None:
    model = build_tiny_family(kind, tmp_path / "model")
    handle = container.models().inspect(ModelSection(name=str(model)))
    ids = torch.randint(3, 250, (2, 12))
    plain = seen_dtypes(hf.load_network(handle, dtype="bfloat16"), ids)
    assert plain["linear"] == plain["logits"] == {"bfloat16"}
    assert "bfloat16" in plain["norms"]
    network = hf.load_network(handle, dtype="bfloat16")
    kept = upcast(network, PrecisionSection(**BOTH))  # type: ignore[arg-type]
    found = seen_dtypes(network, ids)
    assert found["norms"] == found["logits"] == {"float32"}
    assert (found["given"], found["linear"]) == (plain["given"], plain["linear"])
    wide = {id(weight) for weight in network.parameters() if weight.dtype == torch.float32}
    assert kept == wide != set()


def test_norms_come_closer_to_float32(tiny_model: Path, container: Container) -> None:
    handle = container.models().inspect(ModelSection(name=str(tiny_model)))
    states = torch.randn(64, handle.hidden, generator=torch.Generator().manual_seed(0)) * 3
    exact, plain, upcasted = (
        hf.load_network(handle, dtype=dtype) for dtype in ("float32", "bfloat16", "bfloat16")
    )
    upcast(upcasted, PrecisionSection(upcast_norms=True))
    weight = 1 + 0.1 * torch.randn(handle.hidden, generator=torch.Generator().manual_seed(1))
    results = []
    for network in (exact, plain, upcasted):
        norm = network.model.norm
        norm.weight.data = weight.bfloat16().to(norm.weight.dtype)
        inputs = states.bfloat16().to(network.dtype if network is not exact else torch.float32)
        results.append(norm(inputs).float())
    wrong, less_wrong = ((each - results[0]).abs().mean() for each in results[1:])
    assert less_wrong < 0.8 * wrong


@pytest.fixture
def plan(container: Container, tiny_model: Path, rows_file: Path) -> Callable[..., Planned]:
    def make(mode: str, method: dict[str, Any], **sections: Any) -> Planned:
        precision = {"mode": mode, "dtype": "bfloat16", **BOTH}
        text = spec_text(tiny_model, rows_file, precision=precision, method=method, **sections)
        planned: Planned = container.plan_run()(text)
        return planned

    return make


@pytest.mark.parametrize("mode", ["half", "mixed"])
def test_norms_that_learn_stay_float32_and_are_saved_so(
    container: Container, plan: Callable[..., Planned], tmp_path: Path, mode: str
) -> None:
    planned = plan(mode, {"name": "full"})
    _, straight = run(container, planned, tmp_path / "whole")
    run(container, planned, tmp_path / "cut", stop_after=2)
    run(container, planned, tmp_path / "cut", resume=True)
    assert losses(straight)[6] < losses(straight)[1]
    whole, cut = (
        load_file(tmp_path / each / "model" / "model.safetensors") for each in ("whole", "cut")
    )
    trainable = planned.plan.precision.trainable
    for name, weight in whole.items():
        assert str(weight.dtype)[6:] == ("float32" if "norm" in name else trainable), name
        assert torch.equal(weight, cut[name]), name
    config = json.loads((tmp_path / "whole" / "model" / "config.json").read_text())
    assert config["dtype"] == trainable


def test_an_adapter_is_saved_in_the_plans_dtype_and_norms_are_not(
    container: Container, plan: Callable[..., Planned], tmp_path: Path
) -> None:
    planned = plan("half", {"name": "lora", "rank": 4}, batching={"per_device": 2, "packing": True})
    _, events = run(container, planned, tmp_path / "run")
    saved = load_file(tmp_path / "run" / "model" / "adapter_model.safetensors")
    assert {str(weight.dtype) for weight in saved.values()} == {"torch.bfloat16"}
    assert all("lora_" in name for name in saved)
    assert losses(events)[6] < losses(events)[1]


def test_the_plan_says_what_becomes_float32_and_why(plan: Callable[..., Planned]) -> None:
    decisions = {each.key: each for each in plan("half", {"name": "full"}).plan.decisions}
    assert decisions["precision.norms"].value == decisions["precision.logits"].value == "float32"
    assert "saved so" in decisions["precision.norms"].reason
    assert "tile by tile" in decisions["precision.logits"].reason
    adapter = {each.key: each for each in plan("half", {"name": "lora"}).plan.decisions}
    assert "saved so" not in adapter["precision.norms"].reason
