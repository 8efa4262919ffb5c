"""Starting from adapters: one learns on, or several are merged first; LoftQ; what does not fit."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.engines.transformers import Engine
from adapters.hardware import TorchHardware
from adapters.models.attaching import attached, check_adapter
from adapters.models.hf import load_network
from domain.errors import HextuneError
from domain.model_handle import ModelHandle, ResolvedModel
from domain.planning import estimate
from domain.run_plan import Decision
from entrypoints.container import Container, make_container
from entrypoints.services.plan_run import Planned
from tests.contracts.test_inference import ask
from tests.contracts.test_trainer import losses, run, spec_text
from tests.fixtures.tiny_model import build_tiny_model

Plan = Callable[..., Planned]
QLORA: Mapping[str, Any] = {
    "quantization": {"name": "bitsandbytes"},
    "precision": {"mode": "mixed", "dtype": "bfloat16"},
}
METHODS: Mapping[str, dict[str, Any]] = {
    "lora": {"rank": 4, "dora": True, "extra": ["norm"]},
    "pissa": {"name": "lora", "rank": 4, "init": "pissa"},
    "adalora": {"rank": 2, "start_rank": 4},
    "ia3": {},
    "loha": {"rank": 4},
    "lokr": {"rank": 4},
    "oft": {"block_size": 8},
    "vera": {"rank": 16},
}


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Container:
    return make_container(str(tmp_path_factory.mktemp("runs")))


@pytest.fixture(scope="module")
def plan(container: Container, tiny_model: Path, rows_file: Path) -> Plan:
    def make(*adapters: Path, model: Path = tiny_model, **sections: Any) -> Planned:
        section = {"name": str(model), "adapters": [str(folder) for folder in adapters]}
        asked = {"model": section, "schedule": {"max_steps": 4}, "batching": {"per_device": 6}}
        planned: Planned = container.plan_run()(
            spec_text(model, rows_file, **{**asked, **sections})
        )
        return planned

    return make


@pytest.fixture(scope="module")
def adapter(
    container: Container, plan: Plan, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """The folder of an adapter of one of METHODS, trained once."""
    done: dict[str, Path] = {}

    def train(name: str = "lora") -> Path:
        if name not in done:
            folder = tmp_path_factory.mktemp("adapter")
            run(container, plan(method={"name": name, **METHODS[name]}), folder)
            done[name] = folder / "model"
        return done[name]

    return train


def logits(handle: ModelHandle, *folders: Path) -> Any:
    """Of the model with adapters on it, read anew, for 40 tokens."""
    import torch

    network = attached(load_network(handle, dtype="float32"), [str(folder) for folder in folders])
    with torch.inference_mode():
        return network.eval()(input_ids=torch.arange(3, 43)[None]).logits


def decision(planned: Planned, key: str) -> Decision:
    return next(found for found in planned.plan.decisions if found.key == key)


@pytest.mark.parametrize("name", METHODS)
def test_an_adapter_learns_on_from_where_it_was(
    container: Container, plan: Plan, adapter: Callable[..., Path], tmp_path: Path, name: str
) -> None:
    import torch

    planned = plan(adapter(name), method={"name": "continued"})
    assert decision(planned, "model.stack").reason == "the last one learns on"
    outcome, events = run(container, planned, tmp_path)
    _, fresh = run(container, plan(method={"name": name, **METHODS[name]}), tmp_path / "fresh")
    assert losses(events)[1] < losses(fresh)[1]
    assert losses(events)[4] < losses(events)[1]
    assert outcome.results["continued"]
    handle = planned.plan.model
    before, after = logits(handle, adapter(name)), logits(handle, tmp_path / "model")
    assert not torch.allclose(before, after, atol=1e-3)
    count = planned.plan.trainer.trainable
    network = container.models().load(planned.model, planned.plan.precision, None)
    from adapters.methods import continued

    tuned = continued.prepare({}, network.handle, network.network).network
    assert sum(w.numel() for w in tuned.parameters() if w.requires_grad) == count


def test_adapters_are_merged_in_order_before_a_new_one_learns(
    container: Container, plan: Plan, adapter: Callable[..., Path], tmp_path: Path
) -> None:
    first, second = adapter("lora"), adapter("oft")
    planned = plan(first, second, method={"name": "lora", "rank": 2})
    found = decision(planned, "model.stack")
    assert found.value == [str(first), str(second)]
    assert found.reason == "merged into the weights, in this order, before anything learns"
    _, events = run(container, planned, tmp_path)
    assert losses(events)[4] < losses(events)[1]
    handle = replace(planned.plan.model, adapters=(str(first), str(second)))
    whole = replace(handle, adapters=(*handle.adapters, str(tmp_path / "model")))
    report = container.models().merge(whole, str(tmp_path / "merged"), "float32")
    assert report.max_difference < 1e-4
    import torch

    merged = load_network(replace(handle, path=report.folder), dtype="float32").eval()
    with torch.inference_mode():
        ours = merged(input_ids=torch.arange(3, 43)[None]).logits
    assert torch.allclose(ours, logits(handle, first, second, tmp_path / "model"), atol=1e-4)
    assert not torch.allclose(ours, logits(handle, first, tmp_path / "model"), atol=1e-3)


def test_a_whole_model_learns_with_its_adapters_merged_in(
    container: Container, plan: Plan, adapter: Callable[..., Path], tmp_path: Path
) -> None:
    import torch

    slow = {"optimizer": {"learning_rate": 1e-9}, "method": {"name": "full"}}
    planned = plan(adapter(), **slow)
    run(container, planned, tmp_path)
    saved = replace(planned.plan.model, path=str(tmp_path / "model"), adapters=())
    with torch.inference_mode():
        ours = load_network(saved, dtype="float32").eval()(input_ids=torch.arange(3, 43)[None])
    assert torch.allclose(ours.logits, logits(saved_base(planned), adapter()), atol=1e-4)


def saved_base(planned: Planned) -> ModelHandle:
    return replace(planned.plan.model, adapters=())


def test_an_adapter_learns_on_over_packed_weights_but_none_is_merged_into_them(
    container: Container, plan: Plan, adapter: Callable[..., Path], tmp_path: Path
) -> None:
    pytest.importorskip("bitsandbytes")
    planned = plan(adapter("pissa"), method={"name": "continued"}, **QLORA)
    _, events = run(container, planned, tmp_path)
    assert losses(events)[4] < losses(events)[1]
    for adapters, method in (
        ([adapter()], "lora"),
        ([adapter(), adapter("pissa")], "continued"),
    ):
        with pytest.raises(HextuneError) as caught:
            plan(*adapters, method={"name": method}, **QLORA)
        assert [found.code for found in caught.value.problems] == ["rule-packed-adapters"]
    with pytest.raises(HextuneError) as caught:
        plan(adapter("loha"), method={"name": "continued"}, **QLORA)
    assert [found.code for found in caught.value.problems] == ["rule-quantized-needs-adapter"]


def test_loftq_starts_nearer_to_the_unpacked_model_and_is_saved_over_it(
    container: Container, plan: Plan, tmp_path: Path
) -> None:
    pytest.importorskip("bitsandbytes")
    import torch

    from adapters.methods import lora

    planned = plan(method={"name": "lora", "rank": 16, "init": "loftq"}, **QLORA)
    packing = container.quantizer("bitsandbytes").loading({}, planned.plan.precision)
    loaded, plain = (
        container.models().load(planned.model, planned.plan.precision, packing) for _ in range(2)
    )
    ids = torch.arange(3, 43)[None]
    with torch.no_grad():
        whole = load_network(loaded.handle, dtype="float32").eval()(input_ids=ids).logits
        packed = plain.network.eval()(input_ids=ids).logits
        options = planned.document.spec.method.options
        tuned = lora.prepare(options, loaded.handle, loaded.network).network
        started = tuned.eval()(input_ids=ids).logits
    assert (started - whole).norm() < 0.8 * (packed - whole).norm()
    _, events = run(container, planned, tmp_path)
    assert losses(events)[4] < losses(events)[1]
    saved = json.loads((tmp_path / "model" / "adapter_config.json").read_text())
    assert (saved["r"], saved["init_lora_weights"]) == (32, True)
    frozen = logits(loaded.handle, tmp_path / "model")
    assert (frozen - whole).norm() < 20 * (packed - whole).norm()


def test_adapters_over_one_base_are_switched_by_name(
    container: Container, plan: Plan, adapter: Callable[..., Path], tmp_path: Path
) -> None:
    run(container, plan(method={"name": "lora", "rank": 2, "targets": ["q_proj"]}), tmp_path)
    handle = plan().plan.model
    folders = {"first.run": adapter("pissa"), "second": tmp_path / "model", "third": adapter()}
    first, *others = (
        ResolvedModel(label=label, handle=replace(handle, adapters=(str(folder),)), created_at=1.0)
        for label, folder in folders.items()
    )
    hardware = TorchHardware().probe()
    together = Engine(replace(first, siblings=tuple(others)), hardware)
    names = [model.name for model in together.models()]
    assert names == ["first.run", "second", "third", handle.name]
    alone = {each.label: Engine(each, hardware) for each in (first, *others)}
    answers = {name: ask(together, name, max_tokens=24)[0] for name in names}
    for label, engine in alone.items():
        assert answers[label] == ask(engine, label, max_tokens=24)[0]
    assert answers[handle.name] == ask(alone["second"], handle.name, max_tokens=24)[0]
    assert answers["first.run"] != answers[handle.name] != answers["third"]
    unlike = replace(first, label="oft", handle=replace(handle, adapters=(str(adapter("oft")),)))
    assert problem_of(Engine, replace(first, siblings=(unlike,)), hardware).code == (
        "serve-other-kind"
    )


def test_a_model_over_merged_adapters_does_not_offer_its_base(
    container: Container, plan: Plan, adapter: Callable[..., Path]
) -> None:
    handle = replace(plan().plan.model, adapters=(str(adapter()), str(adapter("pissa"))))
    engine = Engine(
        ResolvedModel(label="run", handle=handle, created_at=1.0), TorchHardware().probe()
    )
    assert [model.name for model in engine.models()] == ["run"]


def problem_of(call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    with pytest.raises(HextuneError) as caught:
        call(*arguments, **named)
    (found,) = caught.value.problems
    return found


def test_what_is_no_adapter_or_fits_no_such_model_is_refused_before_anything_loads(
    plan: Plan, adapter: Callable[..., Path], tiny_model: Path, tmp_path: Path
) -> None:
    assert problem_of(plan, tiny_model).code == "adapter-missing"
    assert problem_of(plan, tmp_path / "nowhere").code == "adapter-missing"
    assert problem_of(plan, method={"name": "continued"}).code == "rule-nothing-to-continue"
    for name in METHODS:
        handle = plan().plan.model
        check_adapter(str(adapter(name)), handle)
    other = tmp_path / "adapter"
    shutil.copytree(adapter("oft"), other)
    config = json.loads((other / "adapter_config.json").read_text())
    (other / "adapter_config.json").write_text(json.dumps({**config, "oft_block_size": 4}))
    found = problem_of(plan, other)
    assert (found.code, found.place.field) == ("adapter-unfit", "model.adapters")
    assert "oft_R" in found.facts["reason"]
    (other / "adapter_config.json").write_text(json.dumps({**config, "target_modules": ["w"]}))
    assert problem_of(plan, other).code == "adapter-unfit"
    prompt = {"peft_type": "PREFIX_TUNING", "num_virtual_tokens": 4, "task_type": "CAUSAL_LM"}
    (other / "adapter_config.json").write_text(json.dumps(prompt))
    assert "prompt" in problem_of(plan, other).facts["reason"]
    (other / "adapter_config.json").write_text("{")
    assert problem_of(plan, other).code == "adapter-unfit"
    (other / "adapter_config.json").write_text(json.dumps(config))
    (other / "adapter_model.safetensors").write_bytes(b"cut off")
    assert problem_of(plan, other).code == "adapter-unfit"


def test_an_adapter_of_a_base_of_another_name_deserves_a_look(
    plan: Plan, adapter: Callable[..., Path], tmp_path: Path
) -> None:
    assert plan(adapter()).plan.warnings == []
    (warning,) = plan(adapter(), model=build_tiny_model(tmp_path / "other", seed=1)).plan.warnings
    assert warning.code == "rule-foreign-adapters"
    assert str(adapter()) in warning.facts["adapters"]


def test_weights_count_once_for_what_learns_in_place(container: Container, plan: Plan) -> None:
    """Freezing counts gradients and states of the layer that learns, and the weights whole."""
    planned = plan(method={"name": "freeze", "layers": 1})
    memory, trainer = planned.plan.memory, planned.plan.trainer
    assert memory.weights == 4 * planned.plan.model.parameters
    assert memory.gradients == 4 * trainer.trainable < memory.weights
    deeper = plan(method={"name": "llama_pro", "new_layers": 1}).plan
    weights = 4 * (deeper.model.parameters + deeper.trainer.trainable)
    assert deeper.memory.weights == weights
    spec, hardware = planned.document.spec, planned.plan.hardware
    mixed = estimate(
        replace(spec, precision=replace(spec.precision, mode="mixed", dtype="bfloat16")),
        hardware,
        planned.plan.model,
        trainer,
        None,
        8,
    )
    frozen = planned.plan.model.parameters - trainer.trainable
    copies = 2  # bytes of what the products read, beside the float32 weights that learn
    assert mixed.weights == 2 * frozen + (4 + copies) * trainer.trainable
