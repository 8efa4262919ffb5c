"""Steps of sft: the mean over a step's trained tokens, however rows are packed and split."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from domain.masking import EncodedRow
from entrypoints.container import Container, make_container
from entrypoints.services.plan_run import Planned
from tests.contracts.test_trainer import losses, run, spec_text

SPLITS = ((8, 1), (4, 2), (2, 4), (1, 8))


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return make_container(str(tmp_path / "runs"))


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Twenty-one rows of uneven length: with eight in a step, the last step is not full."""
    path = tmp_path / "uneven.jsonl"
    talks = [
        {"instruction": f"What is {n}?", "output": "It is that. " * (1 + n % 4)} for n in range(21)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in talks), encoding="utf-8")
    return path


def planned(container: Container, model: Path, rows: Path, **sections: Any) -> Planned:
    settings = {"schedule": {"epochs": 1}, **sections}
    found: Planned = container.plan_run()(spec_text(model, rows, **settings))
    return found


@pytest.mark.parametrize("packing", [False, True])
def test_the_loss_does_not_depend_on_how_a_step_is_split(
    container: Container, tiny_model: Path, rows: Path, tmp_path: Path, packing: bool
) -> None:
    found = []
    for per_device, accumulate in SPLITS:
        asked = planned(
            container,
            tiny_model,
            rows,
            data={"train": [{"path": str(rows)}], "max_tokens": 128},
            batching={"per_device": per_device, "accumulate": accumulate, "packing": packing},
        )
        assert asked.data.sequences > 8
        assert asked.data.sequences % 8
        _, events = run(container, asked, tmp_path / f"run-{per_device}")
        found.append(losses(events))
    assert len(found[0]) == -(-asked.data.sequences // 8)
    for other in found[1:]:
        assert other == pytest.approx(found[0], rel=2e-5)


@pytest.mark.parametrize("packing", [False, True])
def test_the_first_loss_is_the_mean_over_all_trained_tokens(
    container: Container, tiny_model: Path, rows: Path, tmp_path: Path, packing: bool
) -> None:
    """One step over all rows, against each row run alone by the untrained network."""
    asked = planned(
        container,
        tiny_model,
        rows,
        data={"train": [{"path": str(rows)}], "max_tokens": 128},
        batching={"per_device": 7, "accumulate": 3, "packing": packing},
        schedule={"max_steps": 1},
    )
    _, events = run(container, asked, tmp_path / "run")
    assert losses(events)[1] == pytest.approx(alone(tiny_model, asked.data.train), rel=1e-5)


def alone(model: Path, rows: Sequence[EncodedRow]) -> float:
    """Mean negative log-probability of the trained tokens, a row at a time, in nats."""
    import torch
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(model)
    total, count = 0.0, 0
    with torch.inference_mode():
        for row in rows:
            logps = network(input_ids=torch.tensor([row.input_ids])).logits[0].log_softmax(-1)
            for place, label in enumerate(row.labels[1:]):
                if label >= 0:
                    total, count = total - float(logps[place, label]), count + 1
    return total / count
