"""NEFTune: noise on the embeddings while training and only then (Jain et al. 2024)."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from entrypoints.container import Container, make_container
from entrypoints.services.plan_run import Planned
from ports.spec_reader import SpecText
from tests.contracts.test_trainer import losses, run

ALPHA = 5.0


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return make_container(str(tmp_path / "runs"))


def plan(
    container: Container, model: Path, rows: Path, *, steps: int = 2, **section: Any
) -> Planned:
    spec = {
        "model": {"name": str(model), **section},
        "data": {"train": [{"path": str(rows)}], "eval_fraction": 0.25},
        "optimizer": {"learning_rate": 0.01},
        "schedule": {"max_steps": steps},
    }
    planned: Planned = container.plan_run()(
        SpecText(text=json.dumps(spec), format="json", source="test")
    )
    return planned


def test_noise_is_bounded_as_planned_and_there_in_training_only(
    container: Container, tiny_model: Path, rows_file: Path, tmp_path: Path
) -> None:
    import torch

    from adapters.models import hf

    seen: list[tuple[bool, float, float]] = []
    load = hf.load_network

    def watched(*arguments: Any, **settings: Any) -> Any:
        network = load(*arguments, **settings)
        table = network.get_input_embeddings()

        def first_layer(module: Any, inputs: Any) -> None:
            noise_BTD = inputs[0] - torch.nn.functional.embedding(ids[-1], table.weight)
            limit = ALPHA / math.sqrt(noise_BTD.shape[1] * noise_BTD.shape[2])
            seen.append((network.training, float(noise_BTD.abs().max()), limit))

        ids: list[Any] = []
        table.register_forward_pre_hook(lambda module, inputs: ids.append(inputs[0]))
        network.model.layers[0].register_forward_pre_hook(first_layer)
        return network

    planned = plan(container, tiny_model, rows_file, neftune_alpha=ALPHA)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hf, "load_network", watched)
        run(container, planned, tmp_path)
    in_training = [(most, limit) for training, most, limit in seen if training]
    assert in_training
    assert all(0.9 * limit < most <= limit * 1.001 for most, limit in in_training)
    in_evaluation = [most for training, most, _ in seen if not training]
    assert in_evaluation
    assert max(in_evaluation) == 0.0
    found = {decision.key: decision for decision in planned.plan.decisions}
    assert found["model.neftune_alpha"].value == ALPHA
    width = planned.plan.model.hidden
    most = ALPHA / math.sqrt(planned.data.longest * width)
    assert found["model.neftune_noise"].value == pytest.approx(most, abs=1e-6)


def test_a_stopped_run_draws_the_same_noise_when_it_resumes(
    container: Container, tiny_model: Path, rows_file: Path, tmp_path: Path
) -> None:
    planned = plan(container, tiny_model, rows_file, neftune_alpha=ALPHA, steps=4)
    _, straight = run(container, planned, tmp_path / "whole")
    _, first = run(container, planned, tmp_path / "cut", stop_after=2)
    _, second = run(container, planned, tmp_path / "cut", resume=True)
    assert losses(first) | losses(second) == losses(straight)
    ours, theirs = (
        tmp_path / each / "model" / "adapter_model.safetensors" for each in ("cut", "whole")
    )
    assert ours.read_bytes() == theirs.read_bytes()


def test_without_it_nothing_is_added(
    container: Container, tiny_model: Path, rows_file: Path, tmp_path: Path
) -> None:
    plain, noisy = (
        plan(container, tiny_model, rows_file, neftune_alpha=alpha) for alpha in (None, 50.0)
    )
    assert "model.neftune_noise" not in {decision.key for decision in plain.plan.decisions}
    _, first = run(container, plain, tmp_path / "plain")
    _, second = run(container, noisy, tmp_path / "noisy")
    assert losses(first)[1] != losses(second)[1]
