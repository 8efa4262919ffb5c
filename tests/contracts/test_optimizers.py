"""Every optimizer on a tiny model: it learns, resumes exactly, and keeps what the plan says."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from adapters.catalog import FolderCatalog
from domain.errors import HextuneError
from domain.precision import BYTES
from entrypoints.container import Container, make_container
from entrypoints.services.plan_run import Planned
from tests.contracts.test_trainer import losses, run, spec_text

CASES: Mapping[str, dict[str, Any]] = {
    "adafactor": {"learning_rate": 0.02},
    "adamw": {"learning_rate": 0.005},
    "adamw_8bit": {"learning_rate": 0.005},
    "apollo": {"learning_rate": 0.01, "rank": 8, "update_every": 2},
    "badam": {"learning_rate": 0.01, "switch_every": 2},
    "galore": {"learning_rate": 0.01, "rank": 8, "update_every": 2},
    "schedule_free": {"learning_rate": 0.01},
}
RANDOM_BLOCKS = {"name": "badam", "learning_rate": 0.01, "switch_every": 1, "order": "random"}
TOLERANCE = 0.06
"""Share by which measured state bytes may differ from the plan's: norms, counters, scales."""


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return make_container(str(tmp_path / "runs"))


def planned(container: Container, model: Path, rows: Path, optimizer: dict[str, Any]) -> Planned:
    schedule = {"max_steps": 6}
    if optimizer["name"] == "schedule_free":
        schedule |= {"scheduler": "constant", "warmup_steps": 0}  # type: ignore[dict-item]
    found: Planned = container.plan_run()(
        spec_text(
            model,
            rows,
            method={"name": "full"},
            optimizer=optimizer,
            schedule=schedule,
            batching={"per_device": 6},
        )
    )
    return found


def test_every_optimizer_of_the_catalogue_has_a_case() -> None:
    assert set(CASES) == set(FolderCatalog().names("optimizers"))


@pytest.mark.parametrize(
    "optimizer",
    [*({"name": name, **options} for name, options in CASES.items()), RANDOM_BLOCKS],
    ids=[*CASES, "badam-random"],
)
def test_it_learns_and_resumes_bit_for_bit(
    container: Container,
    tiny_model: Path,
    rows_file: Path,
    tmp_path: Path,
    optimizer: dict[str, Any],
) -> None:
    asked = planned(container, tiny_model, rows_file, optimizer)
    outcome, whole = run(container, asked, tmp_path / "whole")
    found = losses(whole)
    assert min(found.values()) < found[1] - 0.05
    _, first = run(container, asked, tmp_path / "cut", stop_after=3)
    _, second = run(container, asked, tmp_path / "cut", resume=True)
    assert losses(first) | losses(second) == found
    weights = [
        (tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("whole", "cut")
    ]
    assert weights[0] == weights[1]
    if optimizer == RANDOM_BLOCKS:
        return  # its last step put the states of the block away
    measured = outcome.results["optimizer_state_bytes"]
    assert measured == pytest.approx(asked.plan.memory.optimizer, rel=TOLERANCE)


@pytest.mark.parametrize("name", ["galore", "apollo", "badam"])
def test_what_saves_on_whole_matrices_refuses_adapters(
    container: Container, tiny_model: Path, rows_file: Path, name: str
) -> None:
    with pytest.raises(HextuneError) as caught:
        container.plan_run()(spec_text(tiny_model, rows_file, optimizer={"name": name}))
    assert [found.code for found in caught.value.problems] == ["rule-optimizer-whole-weights"]


def test_a_missing_package_is_named_before_anything_loads(
    container: Container, tiny_model: Path, rows_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib.metadata import PackageNotFoundError

    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("adapters.packages.version", missing)
    with pytest.raises(HextuneError) as caught:
        planned(container, tiny_model, rows_file, {"name": "galore"})
    found = caught.value.problems[0]
    assert found.code == "package-missing"
    assert found.facts["install"] == "pip install 'hextune[galore]'"


def test_low_rank_states_are_smaller_than_adamws(
    container: Container, tiny_model: Path, rows_file: Path
) -> None:
    sizes = {
        name: planned(
            container, tiny_model, rows_file, {"name": name, **CASES[name]}
        ).plan.memory.optimizer
        for name in ("adamw", "adamw_8bit", "galore", "badam", "adafactor")
    }
    weights = planned(container, tiny_model, rows_file, {"name": "adamw"}).plan.trainer.trainable
    assert sizes["adamw"] == 2 * weights * BYTES["float32"]
    assert all(sizes[name] < sizes["adamw"] for name in sizes if name != "adamw")
