"""The save rehearsal: it finds what cannot be saved, and leaves chance and disk as they were."""

import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from transformers import TrainerState

from adapters.methods import Tuned
from adapters.rehearsal import check_place, rehearse
from domain.errors import HextuneError


class Saving:
    """A trainer of one layer, of which `saved` says what reaches the disk."""

    def __init__(self, saved: Callable[[dict[str, Any]], dict[str, Any]] = dict) -> None:
        self.model = nn.Linear(4, 4)
        self.optimizer = torch.optim.AdamW(self.model.parameters())
        self.state = TrainerState()
        self._saved = saved

    def is_world_process_zero(self) -> bool:
        return True

    def save_model(self, folder: str) -> None:
        Path(folder).mkdir(parents=True)
        weights = {name: weight.detach() for name, weight in self.model.named_parameters()}
        save_file(self._saved(weights), Path(folder) / "model.safetensors")


def request(folder: Path, *, adapter: bool = True) -> Any:
    """What a rehearsal reads of a request."""
    trainer = SimpleNamespace(adapter_based=adapter)
    plan = SimpleNamespace(parallelism=SimpleNamespace(strategy="single"), trainer=trainer)
    return SimpleNamespace(folder=str(folder), plan=plan, resume=False)


def tuned(trainer: Saving, **parts: Any) -> Tuned:
    return Tuned(trainer.model, **parts)


@pytest.mark.parametrize("adapter", [True, False])
def test_what_can_be_saved_passes_without_a_trace(tmp_path: Path, adapter: bool) -> None:
    trainer = Saving()
    before = (
        torch.get_rng_state(),
        random.getstate(),
        np.random.get_state(legacy=False)["state"]["key"].tolist(),
    )
    rehearse(trainer, tuned(trainer), request(tmp_path, adapter=adapter))
    assert list((tmp_path / "checkpoints").iterdir()) == []
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (
        random.getstate(),
        np.random.get_state(legacy=False)["state"]["key"].tolist(),
    ) == before[1:]


def refused(trainer: Saving, folder: Path, *, adapter: bool = True, **parts: Any) -> str:
    """The reason a rehearsal gives."""
    with pytest.raises(HextuneError) as caught:
        rehearse(trainer, tuned(trainer, **parts), request(folder, adapter=adapter))
    found = caught.value.problems[0]
    assert found.code == "run-unsaveable"
    assert list((folder / "checkpoints").iterdir()) == []
    return str(found.facts["reason"])


def test_a_weight_that_is_left_out_is_named(tmp_path: Path) -> None:
    trainer = Saving(lambda weights: {"bias": weights["bias"]})
    assert "such as weight" in refused(trainer, tmp_path)
    assert "20 numbers learn, and 4 were saved" in refused(trainer, tmp_path, adapter=False)


def test_a_weight_that_is_saved_as_another_is_noticed(tmp_path: Path) -> None:
    trainer = Saving(lambda weights: {**weights, "weight": weights["weight"].half()})
    assert "such as weight" in refused(trainer, tmp_path)


def test_an_optimizer_that_cannot_be_kept_is_refused(tmp_path: Path) -> None:
    trainer = Saving()
    trainer.optimizer.param_groups[0]["schedule"] = lambda step: step
    assert "lambda" in refused(trainer, tmp_path)


def test_an_optimizer_that_cannot_be_read_back_is_refused(tmp_path: Path) -> None:
    trainer = Saving()
    trainer.optimizer.param_groups[0]["place"] = tmp_path
    assert "pathlib" in refused(trainer, tmp_path)


def test_a_result_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    def broken(folder: str) -> None:
        raise ValueError("no base at hand")

    assert refused(Saving(), tmp_path, save=broken) == "no base at hand"


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("in the way")
    with pytest.raises(HextuneError) as caught:
        check_place(request(tmp_path))
    assert caught.value.problems[0].code == "output-unwritable"
