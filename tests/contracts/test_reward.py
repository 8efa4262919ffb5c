"""Reward models on a tiny network: pairs are told apart, and the head travels with its run."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from adapters.models.attaching import attached
from adapters.models.hf import load_network, tokenizer_of
from adapters.models.value_head import FILE, attach_head, load_head, score_rows, scores
from adapters.preference_losses import bradley_terry
from domain.events import EventKind
from entrypoints.container import Container, make_container
from entrypoints.services.plan_run import Planned
from tests.contracts.test_stages import PAIRS
from tests.contracts.test_trainer import Events, losses, run, spec_text

METHODS: Mapping[str, dict[str, Any]] = {
    "lora": {"name": "lora", "rank": 8, "dropout": 0.1},
    "full": {"name": "full"},
    "freeze": {"name": "freeze", "layers": 1},
}


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return make_container(str(tmp_path / "runs"))


def planned(container: Container, model: Path, folder: Path, /, **sections: Any) -> Planned:
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in PAIRS), encoding="utf-8")
    settings = {
        "stage": {"name": "reward"},
        "data": {"train": [{"path": str(path)}]},
        "method": METHODS["lora"],
        "optimizer": {"learning_rate": 0.005},
        "batching": {"per_device": 4},
    }
    found: Planned = container.plan_run()(spec_text(model, path, **{**settings, **sections}))
    return found


def figures(events: Events, name: str) -> list[float]:
    return [float(data[name]) for kind, data in events if kind is EventKind.STEP]  # type: ignore[arg-type]


def reloaded(plan: Planned, folder: Path) -> Any:
    """The network a run left in its folder, with its head."""
    handle = plan.plan.model
    if plan.plan.trainer.adapter_based:
        network = attached(load_network(handle, dtype="float32"), [str(folder / "model")])
    else:
        from transformers import AutoModelForCausalLM

        network = AutoModelForCausalLM.from_pretrained(folder / "model")
    load_head(attach_head(network), folder / "model")
    return network


@pytest.mark.parametrize("method", METHODS)
def test_pairs_are_told_apart_by_a_head_that_is_saved_beside_the_result(
    container: Container, tiny_model: Path, tmp_path: Path, method: str
) -> None:
    plan = planned(container, tiny_model, tmp_path, method=METHODS[method])
    outcome, events = run(container, plan, tmp_path / "run")
    found = losses(events)
    assert found[6] < found[1] < 2 * math.log(2)
    assert figures(events, "rewards/margin")[-1] > figures(events, "rewards/margin")[0]
    results: dict[str, Any] = dict(outcome.results)
    assert results["figures"]["rewards/accuracy"] == 1.0
    assert results["yields"] == "reward_model"
    network = reloaded(plan, tmp_path / "run")
    pad = tokenizer_of(plan.plan.model).pad_token_id
    for row in plan.data.train:
        assert row.rejected is not None
        pair = [row.input_ids, row.rejected.input_ids]
        better, worse = score_rows(network, pair, pad)
        assert better > worse
        alone = [score_rows(network, [ids], pad)[0] for ids in pair]
        assert alone == pytest.approx([better, worse], abs=1e-5)


def test_the_head_is_planned_for_and_the_language_model_keeps_its_own(
    container: Container, tiny_model: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    plan = planned(container, tiny_model, tmp_path)
    run(container, plan, tmp_path / "run")
    adapter = load_file(tmp_path / "run" / "model" / "adapter_model.safetensors")
    head = load_file(tmp_path / "run" / "model" / FILE)
    assert all("lora_" in name for name in adapter)
    learned = sum(weight.numel() for weight in (*adapter.values(), *head.values()))
    assert learned == plan.plan.trainer.trainable


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("streaming", [False, True])
def test_a_stopped_run_resumes_bit_for_bit(
    container: Container, tiny_model: Path, tmp_path: Path, method: str, streaming: bool
) -> None:
    data = {"train": [{"path": str(tmp_path / "pairs.jsonl")}], "streaming": streaming}
    plan = planned(container, tiny_model, tmp_path, method=METHODS[method], data=data)
    _, whole = run(container, plan, tmp_path / "whole")
    _, first = run(container, plan, tmp_path / "cut", stop_after=3)
    _, second = run(container, plan, tmp_path / "cut", resume=True)
    assert losses(first) | losses(second) == losses(whole)
    saved = [(tmp_path / name / "model" / FILE).read_bytes() for name in ("whole", "cut")]
    assert saved[0] == saved[1]


@pytest.mark.parametrize(("per_device", "accumulate"), [(1, 8), (2, 4)])
def test_the_loss_does_not_depend_on_how_a_step_is_split(
    container: Container, tiny_model: Path, tmp_path: Path, per_device: int, accumulate: int
) -> None:
    still = {"method": {"name": "lora", "rank": 8}, "schedule": {"max_steps": 3}}
    whole = planned(container, tiny_model, tmp_path, batching={"per_device": 8}, **still)
    batching = {"per_device": per_device, "accumulate": accumulate}
    split = planned(container, tiny_model, tmp_path, batching=batching, **still)
    _, reference = run(container, whole, tmp_path / "whole")
    _, events = run(container, split, tmp_path / "split")
    assert losses(events) == pytest.approx(losses(reference), rel=2e-5)


def test_mixed_precision_keeps_the_head_in_float32(
    container: Container, tiny_model: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    plan = planned(
        container, tiny_model, tmp_path, precision={"mode": "mixed", "dtype": "bfloat16"}
    )
    _, events = run(container, plan, tmp_path / "run")
    head = load_file(tmp_path / "run" / "model" / FILE)
    assert head["weight"].dtype is torch.float32
    assert losses(events)[6] < losses(events)[1]


def test_the_score_is_the_last_tokens_hidden_state_times_the_head(tiny_model: Path) -> None:
    from transformers import AutoModelForCausalLM

    network = attach_head(AutoModelForCausalLM.from_pretrained(tiny_model)).eval()
    ids = torch.tensor([[5, 6, 7, 0, 0], [8, 9, 10, 11, 12]])
    mask = torch.tensor([[1, 1, 1, 0, 0], [1] * 5])
    found = scores(network, {"input_ids": ids, "attention_mask": mask})
    for number, last in enumerate((2, 4)):
        hidden = network.model(input_ids=ids[number : number + 1, : last + 1]).last_hidden_state
        expected = hidden[0, last] @ network.value_head.weight[0]
        assert float(found[number].detach()) == pytest.approx(float(expected.detach()), abs=1e-5)


def test_the_loss_is_its_closed_form_and_gradient() -> None:
    better = torch.tensor([1.2, -0.3], dtype=torch.float64, requires_grad=True)
    worse = torch.tensor([0.4, 0.9], dtype=torch.float64, requires_grad=True)
    for weight in (0.0, 0.01):
        expected = [
            math.log1p(math.exp(-(b - w))) + weight * (b + w) ** 2
            for b, w in zip(better.tolist(), worse.tolist(), strict=True)
        ]
        assert bradley_terry(better, worse, weight).tolist() == pytest.approx(expected)
        loss = lambda b, w, c=weight: bradley_terry(b, w, c).sum()  # noqa: E731
        assert torch.autograd.gradcheck(loss, (better, worse))


def test_a_reward_models_run_is_no_model_to_write_with(tiny_model: Path) -> None:
    from tests.services.world import World, codes

    world = World()
    job = world.start()
    results = {"adapter": True, "yields": "reward_model"}
    world.jobs.write_text(job, "results.json", json.dumps(results))
    assert codes(world.container.resolve_model(), job.id) == ["run-scores"]
    assert codes(world.container.merge_model(), job.id, "there", None, None) == ["run-scores"]
