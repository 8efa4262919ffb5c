"""What the trainer does to a real tiny model: what learns, what is saved, how it resumes."""

import itertools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from domain.errors import HextuneError
from domain.events import EventKind
from domain.fingerprint import Json
from entrypoints.container import Container, make_container
from entrypoints.services.plan_run import Planned
from ports.ranks import Training
from ports.spec_reader import SpecText
from ports.trainer import TrainOutcome

Events = list[tuple[EventKind, Mapping[str, Json]]]


def spec_text(model: Path, rows: Path, /, **sections: Any) -> SpecText:
    spec: dict[str, Any] = {
        "model": {"name": str(model)},
        "data": {"train": [{"path": str(rows)}]},
        "method": {"name": "lora", "rank": 4},
        "optimizer": {"learning_rate": 0.01},
        "schedule": {"max_steps": 6},
        "batching": {"per_device": 2},
        "output": {"checkpoint_every_steps": 2},
    }
    spec.update(sections)
    return SpecText(text=json.dumps(spec), format="json", source="test")


def run(
    container: Container,
    planned: Planned,
    folder: Path,
    *,
    resume: bool = False,
    stop_after: int | None = None,
) -> tuple[TrainOutcome, Events]:
    """Train in this process; `stop_after` asks for the end when that step is done."""
    events: Events = []
    asked = itertools.count()  # once before training, then after each step

    def stop_asked() -> bool:
        return next(asked) == stop_after

    training = Training(
        spec=planned.document.spec,
        plan=planned.plan,
        data=planned.data,
        model=planned.model,
        folder=str(folder),
        resume=resume,
    )

    train = container.train_model()
    outcome = train(training, lambda kind, data: events.append((kind, data)), stop_asked)
    return outcome, events


def losses(events: Events) -> dict[int, float]:
    return {
        int(data["step"]): float(data["loss"])  # type: ignore[arg-type]
        for kind, data in events
        if kind is EventKind.STEP
    }


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return make_container(str(tmp_path / "runs"))


@pytest.fixture
def plan(container: Container, tiny_model: Path, rows_file: Path) -> Callable[..., Planned]:
    def make(**sections: Any) -> Planned:
        planned: Planned = container.plan_run()(spec_text(tiny_model, rows_file, **sections))
        return planned

    return make


def test_only_the_adapter_learns_and_as_many_weights_as_planned(
    container: Container, plan: Callable[..., Planned], tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    planned = plan()
    outcome, events = run(container, planned, tmp_path / "run")
    saved = load_file(tmp_path / "run" / "model" / "adapter_model.safetensors")
    assert sum(weight.numel() for weight in saved.values()) == planned.plan.trainer.trainable
    assert all("lora_" in name for name in saved)
    found = losses(events)
    assert list(found) == [1, 2, 3, 4, 5, 6]
    assert found[6] < found[1]
    assert (outcome.stopped, outcome.step, outcome.results["steps"]) == (False, 6, 6)


def test_tokens_count_without_padding(
    container: Container, plan: Callable[..., Planned], tmp_path: Path
) -> None:
    planned = plan(schedule={"epochs": 1})
    outcome, _ = run(container, planned, tmp_path / "run")
    assert outcome.results["tokens"] == planned.data.train_tokens
    assert outcome.step == planned.plan.steps.total_steps


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("stop_after", [2, 3])
def test_a_stopped_run_resumes_bit_for_bit(
    container: Container,
    plan: Callable[..., Planned],
    tmp_path: Path,
    method: str,
    stop_after: int,
) -> None:
    options = {"name": "lora", "dropout": 0.1} if method == "lora" else {"name": "full"}
    planned = plan(method=options)
    whole, straight = run(container, planned, tmp_path / "whole")
    stopped, first = run(container, planned, tmp_path / "cut", stop_after=stop_after)
    assert (stopped.stopped, stopped.step) == (True, stop_after)
    resumed, second = run(container, planned, tmp_path / "cut", resume=True)
    assert (EventKind.RESUMED, {"step": stop_after}) in second
    assert losses(first) | losses(second) == losses(straight)
    name = "adapter_model.safetensors" if method == "lora" else "model.safetensors"
    ours, theirs = (tmp_path / each / "model" / name for each in ("cut", "whole"))
    assert ours.read_bytes() == theirs.read_bytes()
    assert resumed.results["tokens"] == whole.results["tokens"]


def test_a_checkpoint_without_its_marker_is_passed_over(
    container: Container, plan: Callable[..., Planned], tmp_path: Path
) -> None:
    planned = plan()
    run(container, planned, tmp_path / "run", stop_after=4)
    (tmp_path / "run" / "checkpoints" / "checkpoint-4" / "complete").unlink()
    _, events = run(container, planned, tmp_path / "run", resume=True)
    assert (EventKind.RESUMED, {"step": 2}) in events


def test_checkpoints_beyond_the_kept_ones_are_removed(
    container: Container, plan: Callable[..., Planned], tmp_path: Path
) -> None:
    planned = plan(output={"checkpoint_every_steps": 1, "keep_checkpoints": 2})
    run(container, planned, tmp_path / "run")
    kept = sorted(path.name for path in (tmp_path / "run" / "checkpoints").glob("checkpoint-*"))
    assert kept == ["checkpoint-5", "checkpoint-6"]


def test_held_out_rows_are_measured_before_during_and_after(
    container: Container, plan: Callable[..., Planned], tmp_path: Path
) -> None:
    planned = plan(data={**_data(plan), "eval_fraction": 0.25}, tracking={"eval_every_steps": 4})
    outcome, events = run(container, planned, tmp_path / "run")
    measured = [data for kind, data in events if kind is EventKind.EVALUATION]
    assert [data["step"] for data in measured] == [0, 4, 6]
    assert outcome.results["first_eval_loss"] == measured[0]["loss"]
    assert outcome.results["last_eval_loss"] == measured[-1]["loss"]
    assert float(measured[-1]["loss"]) < float(measured[0]["loss"])  # type: ignore[arg-type]


def _data(plan: Callable[..., Planned]) -> dict[str, Any]:
    spec = plan().document.spec.as_json()
    data: dict[str, Any] = spec["data"]  # type: ignore[assignment]
    return {"train": data["train"]}


@pytest.mark.parametrize(("per_device", "accumulate"), [(1, 4), (2, 2), (4, 1)])
def test_the_loss_does_not_depend_on_how_a_step_is_split(
    container: Container,
    plan: Callable[..., Planned],
    tmp_path: Path,
    per_device: int,
    accumulate: int,
) -> None:
    steps = {"schedule": {"max_steps": 3}}
    whole = plan(batching={"per_device": 4}, **steps)
    split = plan(batching={"per_device": per_device, "accumulate": accumulate}, **steps)
    _, reference = run(container, whole, tmp_path / "whole")
    _, events = run(container, split, tmp_path / "split")
    assert losses(events) == pytest.approx(losses(reference), rel=2e-5)


@pytest.mark.parametrize("mode", ["mixed", "half"])
def test_trainable_weights_have_the_plans_dtype(
    container: Container, plan: Callable[..., Planned], tmp_path: Path, mode: str
) -> None:
    from safetensors.torch import load_file

    planned = plan(precision={"mode": mode, "dtype": "bfloat16"})
    _, events = run(container, planned, tmp_path / "run")
    saved = load_file(tmp_path / "run" / "model" / "adapter_model.safetensors")
    dtypes = {str(weight.dtype).removeprefix("torch.") for weight in saved.values()}
    assert dtypes == {planned.plan.precision.trainable}
    assert losses(events)[6] < losses(events)[1]


def test_a_quantized_base_trains_an_adapter_in_float32(
    container: Container, plan: Callable[..., Planned], tmp_path: Path
) -> None:
    pytest.importorskip("bitsandbytes")
    from safetensors.torch import load_file

    planned = plan(
        quantization={"name": "bitsandbytes"},
        precision={"mode": "mixed", "dtype": "bfloat16"},
        schedule={"max_steps": 4},
    )
    _, events = run(container, planned, tmp_path / "run")
    saved = load_file(tmp_path / "run" / "model" / "adapter_model.safetensors")
    assert {str(weight.dtype) for weight in saved.values()} == {"torch.float32"}
    assert losses(events)[4] < losses(events)[1]


def test_a_loss_that_is_not_finite_ends_the_run(
    container: Container, plan: Callable[..., Planned], tmp_path: Path
) -> None:
    planned = plan(optimizer={"learning_rate": 1e30}, method={"name": "full"})
    with pytest.raises(HextuneError) as caught:
        run(container, planned, tmp_path / "run")
    assert caught.value.problems[0].code == "run-loss-not-finite"


def test_layers_the_model_lacks_are_named_in_the_plan(plan: Callable[..., Planned]) -> None:
    with pytest.raises(HextuneError) as caught:
        plan(method={"name": "lora", "targets": ["q_proj", "w_pack"]})
    found = caught.value.problems[0]
    assert found.code == "rule-unknown-layers"
    assert found.facts["names"] == "w_pack"
