"""Stages that learn from rewards on a tiny model: rewards rise, runs resume, splits do nothing."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from adapters.rollout_trainer import HEAD_FILE
from domain.events import EventKind
from domain.run_plan import ReferenceKind
from entrypoints.container import Container, make_container
from tests.contracts.rl_runs import STAGES, Watched, figures, planned, watched
from tests.contracts.test_trainer import losses, run

__all__ = ["watched"]


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return make_container(str(tmp_path / "runs"))


@pytest.mark.parametrize("stage", STAGES)
def test_the_reward_rises_and_the_divergence_is_kept_small(
    container: Container, tiny_model: Path, tmp_path: Path, stage: str
) -> None:
    plan = planned(
        container,
        tiny_model,
        tmp_path,
        stage,
        method={"name": "full"},
        optimizer={"learning_rate": 0.003},
        schedule={"max_steps": 14, "scheduler": "constant"},
        options={"generations": 8, "minibatches": 1, "max_new_tokens": 8, "kl_target": None}
        if stage == "ppo"
        else {"generations": 8, "max_new_tokens": 8},
    )
    assert plan.plan.trainer.reference is ReferenceKind.COPY
    outcome, events = run(container, plan, tmp_path / "run")
    found = figures(events, "rewards/mean")
    assert sum(found[-3:]) / 3 > sum(found[:3]) / 3 + 0.2
    divergence = figures(events, "kl")
    assert divergence[0] == 0
    assert 0 < divergence[-1] < 8
    assert outcome.results["figures"]["rewards/mean"] == found[-1]  # type: ignore[index, call-overload]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stopped_run_resumes_bit_for_bit(
    container: Container, tiny_model: Path, tmp_path: Path, stage: str
) -> None:
    plan = planned(container, tiny_model, tmp_path, stage)
    _, whole = run(container, plan, tmp_path / "whole")
    _, first = run(container, plan, tmp_path / "cut", stop_after=3)
    _, second = run(container, plan, tmp_path / "cut", resume=True)
    assert losses(first) | losses(second) == losses(whole)
    for name in ("rewards/mean", "kl", "rollouts/entropy"):
        assert [*figures(first, name), *figures(second, name)] == figures(whole, name)
    for file in ("adapter_model.safetensors", *([HEAD_FILE] if stage == "ppo" else [])):
        saved = [(tmp_path / each / "model" / file).read_bytes() for each in ("whole", "cut")]
        assert saved[0] == saved[1]


@pytest.mark.parametrize("stage", STAGES)
def test_answers_and_losses_do_not_depend_on_how_a_step_is_split(
    container: Container, tiny_model: Path, tmp_path: Path, stage: str
) -> None:
    found = []
    for per_device, accumulate in ((8, 1), (2, 4)):
        plan = planned(
            container,
            tiny_model,
            tmp_path,
            stage,
            batching={"per_device": per_device, "accumulate": accumulate},
            schedule={"max_steps": 2, "scheduler": "constant"},
        )
        _, events = run(container, plan, tmp_path / f"run-{per_device}")
        found.append(events)
    whole, split = found
    for name in ("rewards/mean", "rollouts/tokens"):
        assert figures(whole, name) == figures(split, name)
    assert losses(split) == pytest.approx(losses(whole), rel=1e-3, abs=1e-6)
    assert figures(split, "grad_norm") == pytest.approx(figures(whole, "grad_norm"), rel=1e-3)


@pytest.mark.parametrize("stage", ["ppo", "grpo"])
def test_the_reference_is_the_frozen_base(
    container: Container, tiny_model: Path, tmp_path: Path, watched: Watched, stage: str
) -> None:
    """The policy has left it, and what is compared with is what the files of the base say."""
    from transformers import AutoModelForCausalLM

    from adapters.policy_pass import policy_pass

    plan = planned(container, tiny_model, tmp_path, stage)
    assert plan.plan.trainer.reference is ReferenceKind.ADAPTERS_OFF
    run(container, plan, tmp_path / "run")
    base = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    last = watched.rollouts[-1]
    with torch.no_grad():
        expected, _, _ = policy_pass(base, last, 1.0, None)
    torch.testing.assert_close(last.reference[:, : expected.shape[1]], expected)
    assert (last.old - last.reference).abs().max() > 1e-3
    assert torch.equal(watched.rollouts[0].old, watched.rollouts[0].reference)
    weights = {n.replace(".base_layer", ""): w for n, w in watched.network.named_parameters()}
    for name, weight in base.named_parameters():
        assert torch.equal(weights[f"base_model.model.{name}"], weight)


def test_the_result_of_ppo_is_an_ordinary_adapter_with_its_value_head_beside_it(
    container: Container, tiny_model: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    plan = planned(container, tiny_model, tmp_path, "ppo")
    outcome, _ = run(container, plan, tmp_path / "run")
    folder = tmp_path / "run" / "model"
    adapter, head = (load_file(folder / n) for n in ("adapter_model.safetensors", HEAD_FILE))
    assert all("lora_" in name for name in adapter)
    learned = sum(weight.numel() for weight in (*adapter.values(), *head.values()))
    assert learned == plan.plan.trainer.trainable
    assert not (folder / "value_head.safetensors").exists()
    assert outcome.results["yields"] == "chat_model"


def test_a_full_run_keeps_the_value_head_out_of_the_model(
    container: Container, tiny_model: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    plan = planned(
        container, tiny_model, tmp_path, "ppo", method={"name": "full"},
        optimizer={"learning_rate": 0.001}, schedule={"max_steps": 1},
    )  # fmt: skip
    run(container, plan, tmp_path / "run")
    saved = load_file(tmp_path / "run" / "model" / "model.safetensors")
    assert saved
    assert not any("value_head" in name for name in saved)
    assert (tmp_path / "run" / "model" / HEAD_FILE).is_file()


def test_without_a_penalty_there_is_no_reference(
    container: Container, tiny_model: Path, tmp_path: Path
) -> None:
    plan = planned(
        container, tiny_model, tmp_path, "grpo",
        method={"name": "full"}, options={"kl_weight": 0}, schedule={"max_steps": 1},
    )  # fmt: skip
    assert plan.plan.trainer.reference is ReferenceKind.NONE
    _, events = run(container, plan, tmp_path / "run")
    step = next(data for kind, data in events if kind is EventKind.STEP)
    assert "kl" not in step


def test_a_larger_penalty_keeps_the_policy_closer(
    container: Container, tiny_model: Path, tmp_path: Path
) -> None:
    found = {}
    for weight in (0.0001, 5.0):
        plan = planned(
            container, tiny_model, tmp_path, "grpo", options={"kl_weight": weight},
            method={"name": "full"}, optimizer={"learning_rate": 0.003},
            schedule={"max_steps": 8, "scheduler": "constant"},
        )  # fmt: skip
        _, events = run(container, plan, tmp_path / f"run-{weight}")
        found[weight] = figures(events, "kl")[-1]
    assert found[5.0] < found[0.0001] / 2


def test_an_adaptive_weight_is_kept_in_checkpoints(
    container: Container, tiny_model: Path, tmp_path: Path, watched: Watched
) -> None:
    plan = planned(container, tiny_model, tmp_path, "ppo")
    run(container, plan, tmp_path / "run", stop_after=2)
    text = (tmp_path / "run" / "checkpoints" / "checkpoint-2" / "rollouts.json").read_text()
    assert json.loads(text)["kl_weight"] == watched.trainers[-1].kl_weight != 0.05


def test_the_best_answers_to_held_out_prompts_choose_the_result(
    container: Container, tiny_model: Path, tmp_path: Path
) -> None:
    """Of PPO too, whose value head is kept with the policy it was learned for."""
    plan = planned(
        container, tiny_model, tmp_path, "ppo",
        data={"eval_fraction": 0.5}, tracking={"eval_every_steps": 1},
        output={"keep_best": True}, schedule={"max_steps": 3},
    )  # fmt: skip
    outcome, events = run(container, plan, tmp_path / "run")
    measured = [data for kind, data in events if kind is EventKind.EVALUATION]
    best = min(measured, key=lambda data: float(data["loss"]))  # type: ignore[arg-type]
    assert outcome.results["result_step"] == best["step"]


def test_held_out_prompts_are_answered_and_scored(
    container: Container, tiny_model: Path, tmp_path: Path
) -> None:
    measured = []
    for per_device in (1, 4):
        plan = planned(
            container, tiny_model, tmp_path, "grpo",
            data={"eval_fraction": 0.5}, batching={"per_device": per_device},
            schedule={"max_steps": 1},
        )  # fmt: skip
        _, events = run(container, plan, tmp_path / f"run-{per_device}")
        measured.append([data for kind, data in events if kind is EventKind.EVALUATION])
    for first, second in itertools.pairwise(measured):
        assert first[0]["rewards/mean"] == second[0]["rewards/mean"]
        assert first[0]["loss"] == pytest.approx(-float(first[0]["rewards/mean"]))  # type: ignore[arg-type]


def test_streamed_prompts_are_answered_too(
    container: Container, tiny_model: Path, tmp_path: Path
) -> None:
    plan = planned(
        container, tiny_model, tmp_path, "ppo", data={"streaming": True, "max_tokens": 64}
    )
    _, events = run(container, plan, tmp_path / "run")
    assert len(losses(events)) == 4


def test_the_plan_counts_answers_and_their_memory(
    container: Container, tiny_model: Path, tmp_path: Path
) -> None:
    few, many = (
        planned(container, tiny_model, tmp_path, "grpo", options=options).plan
        for options in ({"generations": 2}, {"generations": 8, "max_new_tokens": 100})
    )
    assert many.memory.activations > 4 * few.memory.activations
    decision: Any = next(found for found in many.decisions if found.key == "rollouts")
    assert decision.value == 32
