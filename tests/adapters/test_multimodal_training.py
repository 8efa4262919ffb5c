"""Rows with images and sounds through planning and the real trainer: losses fall, results load."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from domain.errors import HextuneError
from domain.run_spec import ModelSection
from entrypoints.container import Container, make_container
from entrypoints.services.plan_run import Planned
from ports.spec_reader import SpecText
from tests.contracts.test_trainer import losses, run
from tests.fixtures.tiny_multimodal import FAMILIES, picture, sound

COLOURS = ("red", "green", "blue", "white")


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return make_container(str(tmp_path / "runs"))


def rows_of(folder: Path, kind: str) -> Path:
    """Four rows with a file, one with two, and two rows of text alone."""
    rows: list[dict[str, Any]] = []
    for number, colour in enumerate(COLOURS):
        if kind == "image":
            picture(folder / "media" / f"{colour}.png", colour, (16 + 8 * number, 16))
            name = f"media/{colour}.png"
        else:
            folder.mkdir(exist_ok=True)
            sound(folder / f"{colour}.wav", 0.2 + 0.1 * number, pitch_hz=300 * (number + 1))
            name = f"{colour}.wav"
        rows.append(talk(f"<{kind}>What colour?", f"It is {colour}.", **{f"{kind}s": [name]}))
    both = [row[f"{kind}s"][0] for row in rows[:2]]
    rows.append(talk(f"<{kind}> or <{kind}>?", "It is red or green.", **{f"{kind}s": both}))
    rows += [talk("What colour?", "It is blue.")] * 2
    path = folder / "rows.json"
    path.write_text(json.dumps(rows))
    return path


def talk(question: str, answer: str, **media: Any) -> dict[str, Any]:
    messages = [
        {"role": "user", "content": question},
        {"role": "assistant", "content": answer},
    ]
    return {"messages": messages, **media}


def plan(container: Container, model: Path, rows: Path, **sections: Any) -> Planned:
    spec = {
        "model": {"name": str(model)},
        "data": {"train": [{"path": str(rows)}]},
        "method": {"name": "lora", "rank": 8},
        "optimizer": {"learning_rate": 0.02},
        "schedule": {"max_steps": 10},
        "batching": {"per_device": 4},
        **sections,
    }
    planned: Planned = container.plan_run()(
        SpecText(text=json.dumps(spec), format="json", source="test")
    )
    return planned


@pytest.mark.parametrize("family", FAMILIES)
def test_lora_learns_from_mixed_batches_and_the_result_loads(
    container: Container, tmp_path: Path, family: str
) -> None:
    from peft import PeftModel
    from safetensors.torch import load_file

    model = FAMILIES[family](tmp_path / family)
    rows = rows_of(tmp_path / "data", "audio" if family == "qwen2_audio" else "image")
    planned = plan(container, model, rows)
    assert sum(row.media is not None for row in planned.data.train) == 5
    _, events = run(container, planned, tmp_path / "run")
    found = list(losses(events).values())
    assert sum(found[-3:]) < 0.93 * sum(found[:3])

    result = tmp_path / "run" / "model"
    saved = load_file(result / "adapter_model.safetensors")
    assert sum(weight.numel() for weight in saved.values()) == planned.plan.trainer.trainable
    assert all("language_model" in name for name in saved)
    loaded = container.models().load(ModelSection(name=str(model)), planned.plan.precision, None)
    PeftModel.from_pretrained(loaded.network, result)
    assert (result / "processor_config.json").is_file()

    handle = replace(planned.plan.model, adapters=(str(result),))
    report = container.models().merge(handle, str(tmp_path / "merged"), "float32")
    assert report.max_difference < 1e-4
    merged = plan(container, tmp_path / "merged", rows)
    assert merged.data.train == planned.data.train


def test_a_fully_trained_model_takes_images_again(container: Container, tmp_path: Path) -> None:
    model = FAMILIES["qwen2_vl"](tmp_path / "qwen2_vl")
    rows = rows_of(tmp_path / "data", "image")
    planned = plan(container, model, rows, method={"name": "full"}, schedule={"max_steps": 1})
    run(container, planned, tmp_path / "run")
    again = plan(container, tmp_path / "run" / "model", rows)
    assert again.plan.model.media == ("image", "video")
    assert [row.input_ids for row in again.data.train] == [
        row.input_ids for row in planned.data.train
    ]


def test_held_out_rows_with_media_are_measured(container: Container, tmp_path: Path) -> None:
    model = FAMILIES["llava"](tmp_path / "llava")
    rows = rows_of(tmp_path / "data", "image")
    data = {"train": [{"path": str(rows)}], "eval": [{"path": str(rows)}]}
    planned = plan(container, model, rows, data=data, schedule={"max_steps": 4})
    outcome, _ = run(container, planned, tmp_path / "run")
    assert outcome.results["last_eval_loss"] < outcome.results["first_eval_loss"]  # type: ignore[operator]


def test_a_stream_of_rows_with_media_trains(container: Container, tmp_path: Path) -> None:
    model = FAMILIES["qwen2_vl"](tmp_path / "qwen2_vl")
    rows = rows_of(tmp_path / "data", "image")
    data = {"train": [{"path": str(rows)}], "streaming": True}
    outcome, events = run(container, plan(container, model, rows, data=data), tmp_path / "run")
    found = list(losses(events).values())
    assert (outcome.step, found[-1] < found[0]) == (10, True)


def test_packing_rows_with_media_is_refused(container: Container, tmp_path: Path) -> None:
    model = FAMILIES["llava"](tmp_path / "llava")
    rows = rows_of(tmp_path / "data", "image")
    with pytest.raises(HextuneError) as raised:
        plan(container, model, rows, batching={"packing": True})
    assert [each.code for each in raised.value.problems] == ["rule-media-packing"]


def test_an_image_that_changed_after_planning_stops_the_run(
    container: Container, tmp_path: Path
) -> None:
    model = FAMILIES["qwen2_vl"](tmp_path / "qwen2_vl")
    rows = rows_of(tmp_path / "data", "image")
    planned = plan(container, model, rows)
    picture(tmp_path / "data" / "media" / "red.png", "red", (64, 64))
    with pytest.raises(HextuneError) as raised:
        run(container, planned, tmp_path / "run")
    assert raised.value.problems[0].code == "run-media-changed"
    assert "red.png" in raised.value.problems[0].message
