"""What watches a run, on a real tiny model: rehearsal, damage, rows of a NaN, samples, the best."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from domain.errors import HextuneError
from domain.events import EventKind
from entrypoints.container import Container, make_container
from entrypoints.services.plan_run import Planned
from tests.contracts.test_trainer import Events, losses, run, spec_text

ADAPTER = "adapter_model.safetensors"
DROPOUT = {"name": "lora", "rank": 4, "dropout": 0.1}


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return make_container(str(tmp_path / "runs"))


@pytest.fixture
def plan(container: Container, tiny_model: Path, rows_file: Path) -> Callable[..., Planned]:
    def make(**sections: Any) -> Planned:
        planned: Planned = container.plan_run()(spec_text(tiny_model, rows_file, **sections))
        return planned

    return make


def of(events: Events, kind: EventKind) -> list[dict[str, Any]]:
    return [dict(data) for found, data in events if found is kind]


def test_a_run_that_cannot_save_ends_before_its_first_step(
    container: Container, plan: Callable[..., Planned], tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "checkpoints").write_text("in the way")
    with pytest.raises(HextuneError) as caught:
        run(container, plan(), tmp_path / "run")
    assert caught.value.problems[0].code == "output-unwritable"


def test_a_rehearsal_comes_first_and_leaves_nothing(
    container: Container, plan: Callable[..., Planned], tmp_path: Path
) -> None:
    _, events = run(container, plan(), tmp_path / "run", stop_after=2)
    kinds = [data["phase"] if k is EventKind.PHASE else k.value for k, data in events]
    assert kinds[:4] == ["loading", "rehearsal", "training", "step"]
    left = {path.name for path in (tmp_path / "run" / "checkpoints").iterdir() if path.is_dir()}
    assert left == {"checkpoint-2"}


@pytest.mark.parametrize(("file", "how"), [(ADAPTER, "cut"), ("optimizer.pt", "flipped")])
def test_a_damaged_checkpoint_is_passed_over_with_a_warning(
    container: Container, plan: Callable[..., Planned], tmp_path: Path, file: str, how: str
) -> None:
    planned = plan(method=DROPOUT)
    if not (whole := tmp_path.parent / "watched-whole").exists():
        run(container, planned, whole)
    run(container, planned, tmp_path / "cut", stop_after=4)
    path = tmp_path / "cut" / "checkpoints" / "checkpoint-4" / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content[:-1] if how == "cut" else content)
    _, events = run(container, planned, tmp_path / "cut", resume=True)
    assert (EventKind.RESUMED, {"step": 2}) in events
    (warning,) = of(events, EventKind.WARNING)
    assert (warning["code"], warning["facts"]["step"]) == ("run-checkpoint-damaged", "4")
    assert file in warning["facts"]["reason"]
    ours, theirs = (folder / "model" / ADAPTER for folder in (tmp_path / "cut", whole))
    assert ours.read_bytes() == theirs.read_bytes()


@pytest.fixture(scope="module")
def poisoned_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that turns the letter Z into NaN."""
    from safetensors.torch import load_file, save_file
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("models") / "poisoned"
    shutil.copytree(tiny_model, folder)
    weights = load_file(folder / "model.safetensors")
    token = AutoTokenizer.from_pretrained(folder).convert_tokens_to_ids("Z")
    weights["model.embed_tokens.weight"][token] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.mark.parametrize(
    "how", [{}, {"batching": {"per_device": 1, "packing": True}}, {"data": {"streaming": True}}]
)
def test_a_gradient_that_is_not_finite_names_step_and_rows(
    container: Container, poisoned_model: Path, tmp_path: Path, how: dict[str, Any]
) -> None:
    rows = [f'{{"instruction": "Say {n}.", "output": "{n}."}}\n' for n in range(12)]
    rows[7] = rows[7].replace("Say", "Zay")
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(rows))
    data = {"train": [{"path": str(path)}], "max_tokens": 64, **how.get("data", {})}
    batching = how.get("batching", {"per_device": 2})
    text = spec_text(
        poisoned_model, path, data=data, batching=batching, tracking={"log_every_steps": 5}
    )
    events: Events = []
    with pytest.raises(HextuneError) as caught:
        run(container, container.plan_run()(text), tmp_path / "run")
    found = caught.value.problems[0]
    assert found.code == "run-loss-not-finite"
    named = str(found.facts["rows"]).split(", ")
    assert f"{path}:8" in named
    assert "?" not in named
    if not how:
        assert len(named) == 2
    assert events == []


def test_samples_are_seen_and_change_nothing(
    container: Container, plan: Callable[..., Planned], tmp_path: Path
) -> None:
    prompts = ["What is 3 plus one?", "Hello"]
    samples = {"prompts": prompts, "every_steps": 2, "max_tokens": 5}
    sampled = plan(method=DROPOUT, tracking={"samples": samples})
    _, plain = run(container, plan(method=DROPOUT), tmp_path / "plain")
    _, events = run(container, sampled, tmp_path / "sampled")
    found = of(events, EventKind.SAMPLE)
    assert [(each["step"], each["prompt"]) for each in found] == [
        (step, prompt) for step in (2, 4, 6) for prompt in prompts
    ]
    assert any(each["text"] for each in found)
    assert losses(events) == losses(plain)
    weights = [(tmp_path / n / "model" / ADAPTER).read_bytes() for n in ("plain", "sampled")]
    assert weights[0] == weights[1]


def growing_worse(plan: Callable[..., Planned], rows_file: Path, **more: Any) -> Planned:
    """A run whose held-out loss soon rises: the rate is far too high."""
    sections: dict[str, Any] = {
        "data": {"train": [{"path": str(rows_file)}], "eval_fraction": 0.25},
        "optimizer": {"learning_rate": 0.5},
        "schedule": {"max_steps": 12, "scheduler": "constant", "warmup_steps": 4},
        "output": {"checkpoint_every_steps": 1, "keep_checkpoints": 12, "keep_best": True},
        "tracking": {"eval_every_steps": 1, **more},
    }
    return plan(**sections)


def test_the_result_is_the_best_and_a_resumed_run_agrees(
    container: Container, plan: Callable[..., Planned], rows_file: Path, tmp_path: Path
) -> None:
    planned = growing_worse(plan, rows_file, early_stopping={"patience": 3})
    outcome, events = run(container, planned, tmp_path / "whole")
    measured = {e["step"]: e["loss"] for e in of(events, EventKind.EVALUATION)}
    best = min(measured, key=lambda step: (measured[step], step))
    assert 0 < best < 12 - 3
    assert outcome.step == best + 3 == max(measured)
    assert outcome.results["result_step"] == best
    assert outcome.results["best"] == {"step": best, "figure": "loss", "value": measured[best]}
    kept = tmp_path / "whole" / "checkpoints" / f"checkpoint-{best}" / ADAPTER
    result = (tmp_path / "whole" / "model" / ADAPTER).read_bytes()
    assert result == kept.read_bytes()
    run(container, planned, tmp_path / "cut", stop_after=best + 1)
    again, _ = run(container, planned, tmp_path / "cut", resume=True)
    assert (again.step, again.results["best"]) == (outcome.step, outcome.results["best"])
    assert (tmp_path / "cut" / "model" / ADAPTER).read_bytes() == result


def test_every_source_is_measured_by_itself_too(
    container: Container, plan: Callable[..., Planned], rows_file: Path, tmp_path: Path
) -> None:
    paths = []
    for name, count in (("some", 2), ("more", 6)):
        paths.append(tmp_path / f"{name}.jsonl")
        paths[-1].write_text("".join(rows_file.read_text().splitlines(keepends=True)[:count]))
    data = {"train": [{"path": str(rows_file)}], "eval": [{"path": str(path)} for path in paths]}
    planned = plan(data=data, tracking={"eval_every_steps": 3}, schedule={"max_steps": 3})
    outcome, events = run(container, planned, tmp_path / "run")
    evaluations = of(events, EventKind.EVALUATION)
    assert [each["step"] for each in evaluations] == [0, 3]
    parts = evaluations[-1]["sources"]
    assert list(parts) == [str(path) for path in paths]
    weighted = sum(parts[str(p)]["loss"] * n for p, n in zip(paths, (2, 6), strict=True)) / 8
    assert evaluations[-1]["loss"] == pytest.approx(weighted)
    assert outcome.results["sources"] == parts
    assert outcome.results["last_eval_loss"] == evaluations[-1]["loss"]


def test_a_figure_the_stage_does_not_measure_ends_the_run_at_once(
    container: Container, plan: Callable[..., Planned], rows_file: Path, tmp_path: Path
) -> None:
    planned = growing_worse(plan, rows_file, best_by="rewards/accuracy")
    with pytest.raises(HextuneError) as caught:
        run(container, planned, tmp_path / "run")
    found = caught.value.problems[0]
    assert (found.code, found.facts["known"]) == ("run-figure-missing", "loss, perplexity")


def test_averaged_weights_resume_exactly_after_an_evaluation(
    container: Container, plan: Callable[..., Planned], rows_file: Path, tmp_path: Path
) -> None:
    """Schedule-free weights stand at their average when a checkpoint follows an evaluation."""
    pytest.importorskip("schedulefree")
    planned = plan(
        data={"train": [{"path": str(rows_file)}], "eval_fraction": 0.25},
        optimizer={"name": "schedule_free", "learning_rate": 0.01},
        schedule={"max_steps": 6, "scheduler": "constant", "warmup_steps": 0},
        tracking={"eval_every_steps": 2},
    )
    _, straight = run(container, planned, tmp_path / "whole")
    _, first = run(container, planned, tmp_path / "cut", stop_after=4)
    _, second = run(container, planned, tmp_path / "cut", resume=True)
    assert losses(first) | losses(second) == losses(straight)
    weights = [(tmp_path / n / "model" / ADAPTER).read_bytes() for n in ("whole", "cut")]
    assert weights[0] == weights[1]


def test_memory_that_runs_out_is_explained_by_the_plan(
    container: Container,
    plan: Callable[..., Planned],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def exhausted(*arguments: Any, **named: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("transformers.Trainer.training_step", exhausted)
    planned = plan()
    with pytest.raises(HextuneError) as caught:
        run(container, planned, tmp_path / "run")
    found = caught.value.problems[0]
    assert found.code == "run-out-of-memory"
    assert str(found.facts["components"]).startswith("runtime 512.00 MiB, ")
    assert "weights " in str(found.facts["components"])
    assert "batching.per_device=1 batching.accumulate=2" in str(found.facts["remedies"])
    assert str(found.facts["remedies"]).count("; ") == 2
