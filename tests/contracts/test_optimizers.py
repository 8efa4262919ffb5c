"""Every optimizer on a tiny model: it learns, resumes exactly, and keeps what the plan says."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from adapters.catalog import FolderCatalog
from domain.errors import HextuneError
from domain.events import EventKind
from domain.precision import BYTES
from entrypoints.container import Container, make_container
from entrypoints.services.plan_run import Planned
from tests.contracts.test_trainer import losses, run, spec_text

CASES: Mapping[str, dict[str, Any]] = {
    "adafactor": {"learning_rate": 0.02},
    "adam_mini": {"learning_rate": 0.005},
    "adamw": {"learning_rate": 0.005},
    "adamw_8bit": {"learning_rate": 0.005},
    "apollo": {"learning_rate": 0.01, "rank": 8, "update_every": 2},
    "badam": {"learning_rate": 0.01, "switch_every": 2},
    "badam_ratio": {"learning_rate": 0.02, "switch_every": 4, "ratio": 0.3},
    "galore": {"learning_rate": 0.01, "rank": 8, "update_every": 2},
    "lion": {"learning_rate": 0.001},
    "muon": {"learning_rate": 0.005},
    "schedule_free": {"learning_rate": 0.01},
}
RANDOM_BLOCKS = {"name": "badam", "learning_rate": 0.01, "switch_every": 1, "order": "random"}
FORMS: Mapping[str, dict[str, Any]] = {
    **{name: {"name": name, **options} for name, options in CASES.items()},
    "apollo-layerwise": {"name": "apollo", **CASES["apollo"], "layerwise": True},
    "galore-layerwise": {"name": "galore", **CASES["galore"], "layerwise": True},
    "badam-random": RANDOM_BLOCKS,
}
PACKAGES: Mapping[str, str] = {
    "adam_mini": "adam_mini",
    "adamw_8bit": "bitsandbytes",
    "apollo": "apollo_torch",
    "badam": "badam",
    "badam_ratio": "badam",
    "galore": "galore_torch",
    "lion": "lion_pytorch",
    "schedule_free": "schedulefree",
}
"""What each needs; tests are skipped where it is not installed."""
TOLERANCE = 0.06
"""Share by which measured state bytes may differ from the plan's: norms, counters, scales."""


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return make_container(str(tmp_path / "runs"))


def planned(
    container: Container, model: Path, rows: Path, optimizer: dict[str, Any], **more: Any
) -> Planned:
    schedule: dict[str, Any] = {"max_steps": 6, **more}
    if optimizer["name"] == "schedule_free":
        schedule |= {"scheduler": "constant", "warmup_steps": 0}
    if optimizer.get("layerwise") or optimizer["name"] == "badam_ratio":
        schedule |= {"max_grad_norm": None}
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


@pytest.mark.parametrize("optimizer", FORMS.values(), ids=FORMS.keys())
def test_it_learns_and_resumes_bit_for_bit(
    container: Container,
    tiny_model: Path,
    rows_file: Path,
    tmp_path: Path,
    optimizer: dict[str, Any],
) -> None:
    if optimizer["name"] in PACKAGES:
        pytest.importorskip(PACKAGES[optimizer["name"]])
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


@pytest.mark.parametrize("name", ["adam_mini", "apollo", "badam", "galore"])
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


def weights_of(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    found: dict[str, Any] = load_file(folder / "model.safetensors")
    return found


def test_schedule_free_saves_the_average_and_not_where_it_learns(
    container: Container, tiny_model: Path, rows_file: Path, tmp_path: Path
) -> None:
    """Learning goes on at y = (1 - beta1) z + beta1 x; the result is x (Defazio et al., eq. 2)."""
    import torch

    asked = planned(container, tiny_model, rows_file, {"name": "schedule_free", "beta1": 0.9})
    run(container, asked, tmp_path / "run")
    average = weights_of(tmp_path / "run" / "model")
    checkpoint = tmp_path / "run" / "checkpoints" / "checkpoint-6"
    learning = weights_of(checkpoint)
    states = torch.load(checkpoint / "optimizer.pt", weights_only=True)["state"]
    name = "model.norm.weight"
    fast = [state["z"] for state in states.values() if state["z"].ndim == 1][-1]
    assert not torch.equal(average[name], learning[name])
    torch.testing.assert_close(learning[name], 0.1 * fast + 0.9 * average[name])


def test_a_constant_rate_is_warmed_up_to_as_the_plan_says(
    container: Container, tiny_model: Path, rows_file: Path, tmp_path: Path
) -> None:
    asked = planned(
        container,
        tiny_model,
        rows_file,
        {"name": "adamw", "learning_rate": 0.004},
        scheduler="constant",
        warmup_steps=4,
    )
    _, events = run(container, asked, tmp_path / "run")
    rates = [data["learning_rate"] for kind, data in events if kind is EventKind.STEP]
    assert rates == pytest.approx([0.0, 0.001, 0.002, 0.003, 0.004, 0.004])


def test_layer_by_layer_is_the_same_training(
    container: Container, tiny_model: Path, rows_file: Path, tmp_path: Path
) -> None:
    found = []
    for layerwise in (False, True):
        options = {"name": "galore", **CASES["galore"], "layerwise": layerwise}
        asked = planned(container, tiny_model, rows_file, options, max_grad_norm=None)
        _, events = run(container, asked, tmp_path / str(layerwise))
        found.append((losses(events), asked.plan.memory))
    assert found[0][0] == found[1][0]
    largest = asked.plan.model.vocabulary * asked.plan.model.hidden
    assert found[1][1].gradients == largest * BYTES["float32"]
    assert found[1][1].gradients < found[0][1].gradients


def test_adam_mini_keeps_one_square_for_each_head(
    container: Container, tiny_model: Path, rows_file: Path, tmp_path: Path
) -> None:
    pytest.importorskip("adam_mini")
    import torch

    asked = planned(container, tiny_model, rows_file, {"name": "adam_mini"})
    run(container, asked, tmp_path / "run", stop_after=2)
    saved = torch.load(
        tmp_path / "run" / "checkpoints" / "checkpoint-2" / "optimizer.pt", weights_only=True
    )
    squares = {
        group["name"].removeprefix("model.layers.0."): len(
            saved["state"][number]["vmean"].flatten()
        )
        for number, group in enumerate(saved["param_groups"])
    }
    heads, rows = squares["self_attn.q_proj.weight"], squares["mlp.gate_proj.weight"]
    assert (heads, squares["self_attn.k_proj.weight"]) == (4, 2)
    assert (rows, squares["input_layernorm.weight"]) == (128, 1)


def test_muon_orthogonalises_matrices_and_leaves_the_rest_to_adamw(
    container: Container, tiny_model: Path, rows_file: Path, tmp_path: Path
) -> None:
    import torch

    before, alike = weights_of(tiny_model), {}
    for optimizer in ("muon", "adamw"):
        asked = planned(
            container, tiny_model, rows_file, {"name": optimizer, "learning_rate": 0.01}
        )
        run(container, asked, tmp_path / optimizer, stop_after=2)
        after = weights_of(tmp_path / optimizer / "checkpoints" / "checkpoint-2")
        name = "model.layers.0.mlp.gate_proj.weight"
        moved = torch.linalg.svdvals((after[name] - before[name]).double())
        alike[optimizer] = int((moved > moved[0] / 3).sum())
        norm = "model.norm.weight"
        longest = float((after[norm] - before[norm]).abs().max())
        assert longest == pytest.approx(0.01, rel=0.02)
    assert alike["muon"] > 3 * alike["adamw"]


@pytest.mark.parametrize(
    ("optimizer", "sections", "rule"),
    [
        ("galore", {"batching": {"accumulate": 2}}, "rule-optimizer-one-pass"),
        ("galore", {"schedule": {"max_grad_norm": 1.0}}, "rule-optimizer-unclipped"),
        ("apollo", {"batching": {"accumulate": 2}}, "rule-optimizer-one-pass"),
    ],
)
def test_what_steps_in_the_backward_pass_refuses_what_needs_all_gradients(
    container: Container,
    tiny_model: Path,
    rows_file: Path,
    optimizer: str,
    sections: dict[str, dict[str, Any]],
    rule: str,
) -> None:
    asked = {"schedule": {"max_grad_norm": None}, **sections}
    options = {"name": optimizer, "layerwise": True}
    spec = spec_text(tiny_model, rows_file, method={"name": "full"}, optimizer=options, **asked)
    with pytest.raises(HextuneError) as caught:
        container.plan_run()(spec)
    assert [found.code for found in caught.value.problems] == [rule]


def test_layers_to_project_that_the_model_lacks_are_named(
    container: Container, tiny_model: Path, rows_file: Path
) -> None:
    with pytest.raises(HextuneError) as caught:
        planned(container, tiny_model, rows_file, {"name": "galore", "targets": ["w_pack"]})
    found = caught.value.problems[0]
    assert (found.code, found.facts["names"]) == ("rule-unknown-layers", "w_pack")


def test_states_paged_off_a_gpu_need_one(
    container: Container, tiny_model: Path, rows_file: Path
) -> None:
    with pytest.raises(HextuneError) as caught:
        planned(container, tiny_model, rows_file, {"name": "adamw_8bit", "paged": True})
    assert [found.code for found in caught.value.problems] == ["rule-optimizer-gpu"]


def test_lora_plus_lets_b_learn_faster_under_every_optimizer(
    container: Container, tiny_model: Path, rows_file: Path, tmp_path: Path
) -> None:
    """The first steps of these are as long as the learning rate, so B's are 4 times as long."""
    from safetensors.torch import load_file

    for name in ("adamw", "lion"):
        text = spec_text(
            tiny_model,
            rows_file,
            method={"name": "lora", "rank": 4, "plus_ratio": 4.0},
            optimizer={"name": name, "learning_rate": 0.001},
            schedule={"max_steps": 1, "scheduler": "constant", "warmup_steps": 0},
        )
        run(container, container.plan_run()(text), tmp_path / name)
        saved = load_file(tmp_path / name / "model" / "adapter_model.safetensors")
        moved = [float(w.abs().max()) for key, w in saved.items() if "lora_B" in key]
        assert moved == pytest.approx([0.004] * len(moved), rel=0.01)
