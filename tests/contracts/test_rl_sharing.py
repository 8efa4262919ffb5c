"""Model sharing: one base is policy, value model, reference and reward model (paper, 4.3)."""

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from domain.errors import HextuneError
from entrypoints.container import Container, make_container
from tests.contracts import test_reward
from tests.contracts.rl_runs import Watched, figures, planned, watched
from tests.contracts.test_trainer import run

__all__ = ["watched"]
STEPS = {"schedule": {"max_steps": 2, "scheduler": "constant"}}


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return make_container(str(tmp_path / "runs"))


@pytest.fixture
def trained(container: Container, tiny_model: Path, tmp_path: Path) -> Any:
    """Makes the folder of a reward model trained by some method."""

    def make(method: str) -> Path:
        plan = test_reward.planned(
            container, tiny_model, tmp_path,
            method=test_reward.METHODS[method], schedule={"max_steps": 2},
        )  # fmt: skip
        run(container, plan, tmp_path / f"reward-{method}")
        return tmp_path / f"reward-{method}" / "model"

    return make


def embeddings(plan: Any) -> Iterator[int]:
    """Storage of every tensor in memory that has the shape of the base's embedding."""
    shape = (plan.plan.model.vocabulary, plan.plan.model.hidden)
    for found in gc.get_objects():
        if type(found) is torch.nn.Parameter and tuple(found.shape) == shape and not found.is_meta:
            yield found.data_ptr()


def scored_by(folder: Path) -> dict[str, Any]:
    return {"rewards": [{"name": "model", "model": str(folder)}]}


def test_one_base_is_policy_value_reference_and_reward_model(
    container: Container,
    tiny_model: Path,
    tmp_path: Path,
    trained: Any,
    watched: Watched,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from safetensors.torch import load_file

    from adapters.rollout_trainer import RolloutTrainer

    folder = trained("lora")
    plan = planned(container, tiny_model, tmp_path, "ppo", options=scored_by(folder), **STEPS)
    gc.collect()
    before, counts = set(embeddings(plan)), []
    step = RolloutTrainer.training_step

    def counting(self: Any, *arguments: Any) -> Any:
        loss = step(self, *arguments)
        counts.append(len(set(embeddings(plan)) - before))
        return loss

    monkeypatch.setattr(RolloutTrainer, "training_step", counting)
    _, events = run(container, plan, tmp_path / "run")
    tied = plan.plan.model.parameters == sum(w.numel() for w in _base(tiny_model).values())
    assert tied
    assert counts == [2, 2]  # embedding and output head, which are not tied here
    weights = dict(watched.network.named_parameters())
    for name, weight in load_file(folder / "adapter_model.safetensors").items():
        kept = weights[name.replace(".weight", ".reward.weight")]
        assert torch.equal(kept, weight)
        assert not kept.requires_grad
    assert watched.network.active_adapter == "default"
    assert figures(events, "rewards/std")[0] > 0
    assert not (tmp_path / "run" / "model" / "reward").exists()


def _base(model: Path) -> dict[str, Any]:
    from transformers import AutoModelForCausalLM

    return dict(AutoModelForCausalLM.from_pretrained(model).named_parameters())


@pytest.mark.parametrize("method", ["lora", "full"])
def test_scores_are_the_reward_models_own(
    container: Container,
    tiny_model: Path,
    tmp_path: Path,
    trained: Any,
    watched: Watched,
    method: str,
) -> None:
    from adapters.models.value_head import score_rows

    folder = trained(method)
    plan = planned(container, tiny_model, tmp_path, "grpo", options=scored_by(folder), **STEPS)
    assert plan.plan.trainer.shares_base is (method == "lora")
    run(container, plan, tmp_path / "run")
    asked = test_reward.planned(container, tiny_model, tmp_path, method=test_reward.METHODS[method])
    alone = test_reward.reloaded(asked, folder.parent)
    last = watched.rollouts[-1]
    rows = [
        ids[: int(mask.sum())].tolist() for ids, mask in zip(last.ids, last.attended, strict=True)
    ]
    assert last.scores.tolist() == pytest.approx(score_rows(alone, rows, 0), abs=1e-4)


def test_a_whole_reward_model_is_in_the_plan(
    container: Container, tiny_model: Path, tmp_path: Path, trained: Any
) -> None:
    plain = planned(container, tiny_model, tmp_path, "grpo").plan
    whole = planned(container, tiny_model, tmp_path, "grpo", options=scored_by(trained("full")))
    model = whole.plan.model
    assert whole.plan.trainer.beside == model.parameters + model.hidden
    assert whole.plan.memory.weights - plain.memory.weights == 4 * whole.plan.trainer.beside


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ({"name": "full"}, "rule-rl-shared-base"),
        ({"name": "lora", "init": "pissa"}, "rule-rl-shared-base"),
    ],
)
def test_a_base_that_changes_cannot_be_shared(
    container: Container,
    tiny_model: Path,
    tmp_path: Path,
    trained: Any,
    method: dict[str, Any],
    code: str,
) -> None:
    with pytest.raises(HextuneError) as caught:
        planned(
            container, tiny_model, tmp_path, "grpo",
            options=scored_by(trained("lora")), method=method,
        )  # fmt: skip
    assert [found.code for found in caught.value.problems] == [code]
