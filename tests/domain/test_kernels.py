"""Fused kernels: where they work, and what is in the way elsewhere."""

from dataclasses import replace

import pytest

from domain.hardware import DeviceKind, Hardware
from domain.kernels import KERNELS, obstacle
from domain.run_spec import ModelSection
from tests.domain.builders import plan, spec
from tests.fakes.models import CPU

A100 = replace(CPU, kind=DeviceKind.CUDA, name="A100", compute_capability=(8, 0))
MI300 = replace(CPU, kind=DeviceKind.ROCM, name="MI300")
BOTH = {"liger-kernel": "0.8.5", "unsloth": "2026.10.9"}


@pytest.mark.parametrize(
    ("name", "hardware", "versions", "family", "reason", "advice"),
    [
        ("liger", CPU, BOTH, "llama", "this is fake CPU", "kernels=none"),
        ("unsloth", MI300, BOTH, "llama", "this is MI300", "kernels=none"),
        ("liger", A100, BOTH, "bloom", "type bloom", "kernels=none"),
        ("unsloth", A100, BOTH, "phi3", "type phi3", "kernels=none"),
        ("liger", A100, {}, "llama", "none is installed", "hextune[liger]"),
        ("liger", A100, {"liger-kernel": "0.5.10"}, None, "0.5.10 is installed", "hextune[liger]"),
        ("unsloth", A100, {"unsloth": "2026.9.1"}, "llama", "2026.10 or newer", "--no-deps"),
    ],
)
def test_what_is_in_the_way_is_named_with_what_to_do(
    name: str, hardware: Hardware, versions: dict[str, str], family: str, reason: str, advice: str
) -> None:
    found = obstacle(name, hardware, versions, family)
    assert found is not None
    assert reason in found[0]
    assert advice in found[1]


@pytest.mark.parametrize(
    ("name", "hardware"),
    [("none", CPU), ("liger", A100), ("liger", MI300), ("unsloth", A100)],
)
def test_nothing_is_in_the_way(name: str, hardware: Hardware) -> None:
    assert obstacle(name, hardware, BOTH, "llama") is None


@pytest.mark.parametrize("name", ["none", *KERNELS])
def test_the_plan_says_what_the_kernels_replace(name: str) -> None:
    asked = spec(model=ModelSection(name="fake", kernels=name))  # type: ignore[arg-type]
    found = {decision.key: decision for decision in plan(asked).decisions}
    assert found["model.kernels"].value == name
    assert ("kernels" in found) is (name in KERNELS)
    if name in KERNELS:
        assert found["kernels"].reason == KERNELS[name].does
