"""Quantizers: what runs on a CPU trains an adapter; the others plan, and refuse with a reason."""

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dependency_injector import providers

from adapters.catalog import FolderCatalog
from domain.errors import HextuneError
from domain.hardware import DeviceKind, Hardware
from entrypoints.container import Container, make_container
from entrypoints.services.plan_run import Planned
from tests.contracts.test_trainer import losses, run, spec_text
from tests.fakes.models import CPU

AMPERE = replace(CPU, kind=DeviceKind.CUDA, name="A100", compute_capability=(8, 0))
MIXED = {"mode": "mixed", "dtype": "bfloat16"}
CHECKPOINTS: Mapping[str, tuple[dict[str, Any], float]] = {
    "aqlm": (
        {
            "quant_method": "aqlm",
            "num_codebooks": 1,
            "nbits_per_codebook": 16,
            "in_group_size": 8,
            "out_group_size": 1,
        },
        2 / 8,
    ),
    "awq": (
        {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True},
        (4 + 20 / 128) / 8,
    ),
    "bitsandbytes": (
        {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_use_double_quant": False},
        0.5 + 4 / 64,
    ),
    "gptq": (
        {"quant_method": "gptq", "bits": 3, "group_size": -1, "desc_act": False},
        3 / 8,
    ),
}
"""`quantization_config` of packed checkpoints, and the bytes of one of their weights."""
RUNS_HERE: Mapping[str, tuple[str, dict[str, Any]]] = {
    "4 bits": ("bitsandbytes", {"name": "bitsandbytes", "bits": 4}),
    "4 bits, plain scales": ("bitsandbytes", {"name": "bitsandbytes", "double": False}),
    "8 bits": ("bitsandbytes", {"name": "bitsandbytes", "bits": 8}),
    "hqq 4": ("hqq", {"name": "hqq", "bits": 4}),
    "hqq 3": ("hqq", {"name": "hqq", "bits": 3, "group_size": 32}),
    "hqq 8": ("hqq", {"name": "hqq", "bits": 8}),
    "int8": ("torchao", {"name": "torchao", "type": "int8"}),
    "fp8": ("torchao", {"name": "torchao", "type": "fp8"}),
}


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return make_container(str(tmp_path / "runs"))


def on(container: Container, hardware: Hardware) -> Container:
    """A container that plans for another machine."""

    class Probe:
        def probe(self) -> Hardware:
            return hardware

        def versions(self) -> Mapping[str, str]:
            return {}

    container.hardware.override(providers.Object(Probe()))
    return container


def packed(folder: Path, model: Path, settings: Mapping[str, Any]) -> Path:
    """The tiny model with a config that says its weights are packed."""
    target = folder / str(settings["quant_method"])
    shutil.copytree(model, target)
    config = json.loads((target / "config.json").read_text(encoding="utf-8"))
    config["quantization_config"] = dict(settings)
    (target / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return target


def planned(container: Container, model: Path, rows: Path, **sections: Any) -> Planned:
    found: Planned = container.plan_run()(spec_text(model, rows, precision=MIXED, **sections))
    return found


def codes(container: Container, model: Path, rows: Path, **sections: Any) -> list[str]:
    with pytest.raises(HextuneError) as caught:
        planned(container, model, rows, **sections)
    return [found.code for found in caught.value.problems]


def test_every_quantizer_of_the_catalogue_is_tried() -> None:
    tried = {options["name"] for _, options in RUNS_HERE.values()} | set(CHECKPOINTS) | {"eetq"}
    assert tried == set(FolderCatalog().names("quantizers"))


def layer_tensors(module: Any) -> Iterator[Any]:
    """The tensors that hold a packed layer: its weight's parts, and scales beside it."""
    import torch

    if type(module).__name__ == "HQQLinear":
        yield from (module.W_q, module.meta["scale"], module.meta["zero"])
        return
    weight = module.weight
    if hasattr(weight, "__tensor_flatten__"):
        parts = [getattr(weight, name) for name in weight.__tensor_flatten__()[0]]
        yield from (part for part in parts if isinstance(part, torch.Tensor))
        return
    yield weight
    state = getattr(weight, "quant_state", None)
    if state is not None:
        yield state.absmax
        if state.nested:
            yield state.state2.absmax
    if getattr(weight, "SCB", None) is not None:
        yield weight.SCB


@pytest.mark.parametrize(("package", "options"), RUNS_HERE.values(), ids=RUNS_HERE.keys())
def test_an_adapter_learns_over_packed_weights_of_the_planned_size(
    container: Container,
    tiny_model: Path,
    rows_file: Path,
    tmp_path: Path,
    package: str,
    options: dict[str, Any],
) -> None:
    pytest.importorskip(package)
    from safetensors.torch import load_file

    asked = planned(container, tiny_model, rows_file, quantization=options)
    spec = asked.document.spec
    assert spec.quantization is not None
    quantizer = container.quantizer(package)
    loaded: Any = container.models().load(
        spec.model,
        asked.plan.precision,
        quantizer.loading(spec.quantization.options, asked.plan.precision),
    )
    linear = asked.plan.model.linear
    names = {group.name for group in linear}
    layers = [m for path, m in loaded.network.named_modules() if path.split(".")[-1] in names]
    measured = sum(tensor.nbytes for layer in layers for tensor in layer_tensors(layer))
    weights = sum(group.inputs * group.outputs * group.count for group in linear)
    expected = quantizer.bytes_per_weight(spec.quantization.options, asked.plan.model)
    assert measured / weights == pytest.approx(expected, rel=0.02)  # hqq fills words up

    _, events = run(container, asked, tmp_path / "run")
    found = losses(events)
    assert found[6] < found[1]
    saved = load_file(tmp_path / "run" / "model" / "adapter_model.safetensors")
    assert {str(weight.dtype) for weight in saved.values()} == {"torch.float32"}


@pytest.mark.parametrize("method", [{"name": "lora"}, {"name": "lora", "dora": True}])
def test_evaluating_in_between_changes_nothing_of_what_is_learned(
    container: Container,
    tiny_model: Path,
    rows_file: Path,
    tmp_path: Path,
    method: dict[str, Any],
) -> None:
    pytest.importorskip("bitsandbytes")
    found = []
    for evaluates in (False, True):
        data = {"train": [{"path": str(rows_file)}]}
        data |= {"eval": [{"path": str(rows_file)}]} if evaluates else {}
        bits = {"name": "bitsandbytes"}
        asked = planned(
            container, tiny_model, rows_file, quantization=bits, method=method, data=data
        )
        _, events = run(container, asked, tmp_path / f"run-{evaluates}")
        found.append(losses(events))
    assert found[0] == found[1]


@pytest.mark.parametrize(("settings", "expected"), CHECKPOINTS.values(), ids=CHECKPOINTS.keys())
def test_a_packed_checkpoint_is_recognised_and_its_bytes_counted(
    container: Container,
    tiny_model: Path,
    rows_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
    expected: float,
) -> None:
    monkeypatch.setattr("adapters.packages.version", lambda name: "99")
    on(container, AMPERE)
    model = packed(tmp_path, tiny_model, settings)
    whole = planned(container, tiny_model, rows_file).plan
    found = planned(container, model, rows_file).plan
    assert found.model.packed is not None
    assert found.model.packed.bytes_per_weight == pytest.approx(expected)
    weights = sum(group.inputs * group.outputs * group.count for group in found.model.linear)
    saved = whole.memory.weights - found.memory.weights
    assert saved == pytest.approx(weights * (2 - expected), abs=1)
    full = codes(container, model, rows_file, method={"name": "full"})
    assert full == ["rule-quantized-needs-adapter"]


@pytest.mark.parametrize("name", ["aqlm", "awq", "gptq"])
def test_what_only_loads_packed_weights_refuses_plain_ones(
    container: Container, tiny_model: Path, rows_file: Path, name: str
) -> None:
    found = codes(container, tiny_model, rows_file, quantization={"name": name})
    assert found == ["quantizer-checkpoint"]


@pytest.mark.parametrize(
    ("name", "here", "on_a_gpu"),
    [
        ("aqlm", "quantizer-device", "package-missing"),
        ("awq", "quantizer-device", "package-missing"),
        ("gptq", "package-missing", "package-missing"),
    ],
)
def test_a_packed_checkpoint_says_what_this_machine_lacks(
    container: Container,
    tiny_model: Path,
    rows_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    here: str,
    on_a_gpu: str,
) -> None:
    without_packages(monkeypatch)
    model = packed(tmp_path, tiny_model, CHECKPOINTS[name][0])
    for section in ({}, {"quantization": {"name": name}}):
        assert codes(on(container, CPU), model, rows_file, **section) == [here]
        assert codes(on(container, AMPERE), model, rows_file, **section) == [on_a_gpu]


@pytest.mark.parametrize("name", ["bitsandbytes", "eetq", "hqq", "torchao"])
def test_a_missing_package_is_named_with_its_install_line(
    container: Container,
    tiny_model: Path,
    rows_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    without_packages(monkeypatch)
    with pytest.raises(HextuneError) as caught:
        planned(on(container, AMPERE), tiny_model, rows_file, quantization={"name": name})
    (found,) = caught.value.problems
    assert found.code == "package-missing"
    assert found.facts["install"] == f"pip install 'hextune[{name}]'"


def without_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """No optional package is installed."""
    from importlib.metadata import PackageNotFoundError

    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("adapters.packages.version", missing)


def test_eetq_needs_a_gpu(container: Container, tiny_model: Path, rows_file: Path) -> None:
    found = codes(container, tiny_model, rows_file, quantization={"name": "eetq"})
    assert found == ["quantizer-device"]


@pytest.mark.parametrize(
    ("packed_by", "asked", "rule"),
    [
        ("bitsandbytes", {"name": "bitsandbytes", "bits": 8}, "rule-packed-otherwise"),
        ("gptq", {"name": "bitsandbytes"}, "rule-packed-otherwise"),
        ("mxfp4", None, "rule-packed-unknown"),
        ("fp8", None, "rule-packed-unknown"),
    ],
)
def test_a_section_must_agree_with_the_checkpoint(
    container: Container,
    tiny_model: Path,
    rows_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    packed_by: str,
    asked: dict[str, Any] | None,
    rule: str,
) -> None:
    monkeypatch.setattr("adapters.packages.version", lambda name: "99")
    settings = CHECKPOINTS.get(packed_by, ({"quant_method": packed_by}, 0.0))[0]
    model = packed(tmp_path, tiny_model, settings)
    section = {} if asked is None else {"quantization": asked}
    assert codes(container, model, rows_file, **section) == [rule]


def test_nothing_is_merged_into_packed_weights(
    container: Container, tiny_model: Path, tmp_path: Path
) -> None:
    from domain.run_spec import ModelSection

    model = packed(tmp_path, tiny_model, CHECKPOINTS["gptq"][0])
    handle = container.models().inspect(ModelSection(name=str(model)))
    with pytest.raises(HextuneError) as caught:
        container.models().merge(handle, str(tmp_path / "merged"), "float32")
    assert caught.value.problems[0].code == "merge-packed"


@pytest.mark.skipif(not Path("/proc/self/maps").is_file(), reason="no list of mapped files here")
def test_a_packed_model_lets_go_of_its_unpacked_file(
    container: Container, tiny_model: Path, rows_file: Path, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    model = shutil.copytree(tiny_model, tmp_path / "model")
    AutoModelForCausalLM.from_pretrained(tiny_model).to(torch.bfloat16).save_pretrained(model)
    asked = planned(container, model, rows_file, quantization={"name": "bitsandbytes"})
    backend = container.quantizer("bitsandbytes")
    settings = backend.loading({}, asked.plan.precision)
    held = container.models().load(asked.document.spec.model, asked.plan.precision, settings)
    assert held.network is not None
    assert str(model) not in Path("/proc/self/maps").read_text()
