"""Packing changes what is computed together, not what is computed."""

import json
from pathlib import Path
from typing import Any

import pytest

from entrypoints.container import Container, make_container
from entrypoints.services.plan_run import Planned
from ports.spec_reader import SpecText
from tests.contracts.test_trainer import losses, run


def planned(container: Container, model: Path, rows: Path, **batching: Any) -> Planned:
    spec = {
        "model": {"name": str(model)},
        "data": {"train": [{"path": str(rows)}], "max_tokens": 150},
        "method": {"name": "full"},
        "optimizer": {"learning_rate": 0.001},
        "schedule": {"max_steps": 3, "scheduler": "constant", "warmup_steps": 0},
        "batching": batching,
    }
    found: Planned = container.plan_run()(
        SpecText(text=json.dumps(spec), format="json", source="test")
    )
    return found


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return make_container(str(tmp_path / "runs"))


def test_packed_rows_give_the_losses_of_rows_apart(
    container: Container, tiny_model: Path, rows_file: Path, tmp_path: Path
) -> None:
    """All rows in each step: equal losses over three steps mean equal gradients, too."""
    apart = planned(container, tiny_model, rows_file, per_device=12)
    packed = planned(container, tiny_model, rows_file, per_device=64, packing=True)
    packs = packed.data.packs or ()
    assert 1 < len(packs) < 12
    assert sorted(n for pack in packs for n in pack) == list(range(12))
    _, events_apart = run(container, apart, tmp_path / "apart")
    _, events_packed = run(container, packed, tmp_path / "packed")
    assert losses(events_packed) == pytest.approx(losses(events_apart), rel=1e-5)


def test_rows_in_a_pack_do_not_see_each_other(tiny_model: Path) -> None:
    """Logits of a row inside a pack are those of the row alone, whatever stands before it."""
    import torch
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32).eval()
    first, second = [5, 6, 7, 8, 9], [20, 21, 22]
    positions_1T = torch.tensor([[*range(len(first)), *range(len(second))]])
    with torch.inference_mode():
        packed_1TV = network(
            input_ids=torch.tensor([first + second]), position_ids=positions_1T, use_cache=False
        ).logits
        alone_1TV = network(input_ids=torch.tensor([second])).logits
        contaminated_1TV = network(input_ids=torch.tensor([first + second])).logits
    tail = slice(len(first), None)
    assert torch.allclose(packed_1TV[:, tail], alone_1TV, atol=1e-5)
    assert not torch.allclose(contaminated_1TV[:, tail], alone_1TV, atol=1e-3)


def test_the_plan_counts_packs_and_names_them(
    container: Container, tiny_model: Path, rows_file: Path
) -> None:
    found = planned(container, tiny_model, rows_file, per_device=2, packing=True)
    decisions = {decision.key: decision.value for decision in found.plan.decisions}
    assert decisions["batching.packs"] == found.data.sequences == found.plan.steps.train_rows
    assert found.data.longest <= 150
