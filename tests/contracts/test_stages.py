"""Stages over answers on a tiny model: figures move, runs resume, splits change nothing."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from adapters.catalog import FolderCatalog
from domain.errors import HextuneError
from domain.events import EventKind
from domain.precision import BYTES
from domain.run_plan import ReferenceKind
from entrypoints.container import Container, make_container
from entrypoints.services.plan_run import Planned
from tests.contracts.test_trainer import losses, run, spec_text

PAIRS = [
    {
        "instruction": f"What is {n} plus one?",
        "chosen": f"It is {n + 1}.",
        "rejected": "No idea at all.",
    }
    for n in range(8)
]
JUDGED = [
    {"instruction": row["instruction"], "output": row[key], "liked": key == "chosen"}
    for row in PAIRS
    for key in ("chosen", "rejected")
]
STAGES: Mapping[str, dict[str, Any]] = {
    "cpo": {},
    "dpo": {},
    "kto": {},
    "orpo": {"weight": 0.5},
    "reward": {},
    "simpo": {},
}
ELSEWHERE = {"grpo", "ppo", "pretrain", "rloo", "sft"}
"""Stages with test files of their own."""


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return make_container(str(tmp_path / "runs"))


def planned(
    container: Container, model: Path, folder: Path, stage: str, **sections: Any
) -> Planned:
    """A plan of a stage over its kind of rows."""
    path = folder / f"{stage}.jsonl"
    rows = JUDGED if stage == "kto" else PAIRS
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    source: dict[str, Any] = {"path": str(path)}
    if stage == "kto":
        source["columns"] = {"kto_tag": "liked"}
    data = {"train": [source], **sections.pop("data", {})}
    options = {**STAGES[stage], **sections.pop("options", {})}
    settings = {
        "method": {"name": "lora", "rank": 8},
        "optimizer": {"learning_rate": 0.01},
        "batching": {"per_device": 4},
        **sections,
    }
    found: Planned = container.plan_run()(
        spec_text(model, path, stage={"name": stage, **options}, data=data, **settings)
    )
    return found


def test_every_stage_of_the_catalogue_has_a_case() -> None:
    assert {*STAGES, *ELSEWHERE} == set(FolderCatalog().names("stages"))


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("method", ["lora", "full"])
def test_the_chosen_answer_wins(
    container: Container, tiny_model: Path, tmp_path: Path, stage: str, method: str
) -> None:
    rate = {"learning_rate": 0.02 if method == "lora" else 0.003}
    asked = planned(container, tiny_model, tmp_path, stage, method={"name": method}, optimizer=rate)
    outcome, events = run(container, asked, tmp_path / "run")
    found = losses(events)
    assert found[6] < found[1]
    steps = [data for kind, data in events if kind is EventKind.STEP]
    if stage == "kto":
        first, last = ({**steps[n]} for n in (0, -1))
        assert last["rewards/liked"] > last["rewards/disliked"]  # type: ignore[operator]
        assert first["rewards/liked"] == first["rewards/disliked"] == 0.0
    else:
        assert steps[-1]["rewards/margin"] > steps[0]["rewards/margin"]  # type: ignore[operator]
        assert outcome.results["figures"]["rewards/accuracy"] > 0.7  # type: ignore[index, call-overload, operator]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("streaming", [False, True])
def test_a_stopped_run_resumes_bit_for_bit(
    container: Container, tiny_model: Path, tmp_path: Path, stage: str, streaming: bool
) -> None:
    asked = planned(container, tiny_model, tmp_path, stage, data={"streaming": streaming})
    _, whole = run(container, asked, tmp_path / "whole")
    _, first = run(container, asked, tmp_path / "cut", stop_after=3)
    _, second = run(container, asked, tmp_path / "cut", resume=True)
    assert losses(first) | losses(second) == losses(whole)
    saved = [
        (tmp_path / name / "model" / "adapter_model.safetensors").read_bytes()
        for name in ("whole", "cut")
    ]
    assert saved[0] == saved[1]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(("per_device", "accumulate"), [(1, 8), (2, 4)])
def test_the_loss_does_not_depend_on_how_a_step_is_split(
    container: Container,
    tiny_model: Path,
    tmp_path: Path,
    stage: str,
    per_device: int,
    accumulate: int,
) -> None:
    batching = {"per_device": per_device, "accumulate": accumulate}
    steps = {"schedule": {"max_steps": 3}}
    whole = planned(container, tiny_model, tmp_path, stage, batching={"per_device": 8}, **steps)
    split = planned(container, tiny_model, tmp_path, stage, batching=batching, **steps)
    _, reference = run(container, whole, tmp_path / "whole")
    _, events = run(container, split, tmp_path / "split")
    assert losses(events) == pytest.approx(losses(reference), rel=5e-5)


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        ({"name": "lora"}, ReferenceKind.ADAPTERS_OFF),
        ({"name": "lora", "init": "pissa"}, ReferenceKind.COPY),
        ({"name": "lora", "init": "olora"}, ReferenceKind.COPY),
        ({"name": "full"}, ReferenceKind.COPY),
        ({"name": "freeze", "layers": 1}, ReferenceKind.COPY),
        ({"name": "llama_pro", "new_layers": 1}, ReferenceKind.COPY),
    ],
)
def test_the_reference_is_the_model_the_run_started_from(
    container: Container,
    tiny_model: Path,
    tmp_path: Path,
    method: dict[str, Any],
    kind: ReferenceKind,
) -> None:
    """Before the first step nothing was gained, so the sigmoid loss is log 2 exactly."""
    asked = planned(
        container, tiny_model, tmp_path, "dpo", method=method, schedule={"max_steps": 1}
    )
    assert asked.plan.trainer.reference is kind
    _, events = run(container, asked, tmp_path / "run")
    assert losses(events)[1] == pytest.approx(math.log(2), abs=1e-4)


@pytest.mark.parametrize("mode", ["full", "mixed"])
def test_a_copied_reference_is_planned_for(
    container: Container, tiny_model: Path, tmp_path: Path, mode: str
) -> None:
    settings = {"method": {"name": "full"}, "precision": {"mode": mode}}
    one, two = (
        planned(container, tiny_model, tmp_path, stage, **settings).plan
        for stage in ("simpo", "dpo")
    )
    weights = one.model.parameters * BYTES[one.precision.trainable]
    assert two.memory.weights == one.memory.weights + weights
    assert "reference" in {found.key for found in two.decisions}


@pytest.mark.parametrize(
    "options",
    [{"length_normalized": True}, {"sft_weight": 1.0}, {"ld_alpha": 0.5}, {"loss": "ipo"}],
)
def test_options_of_dpo_change_what_is_learned(
    container: Container, tiny_model: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    plain = planned(container, tiny_model, tmp_path, "dpo")
    other = planned(container, tiny_model, tmp_path, "dpo", options=options)
    _, events = run(container, plain, tmp_path / "plain")
    _, changed = run(container, other, tmp_path / "changed")
    assert losses(changed)[6] != losses(events)[6]
    assert losses(changed)[6] < losses(changed)[1]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"loss": "hinge", "label_smoothing": 0.1}, "rule-smoothing-unused"),
        ({"loss": "exo_pair"}, "rule-smoothing-needed"),
    ],
)
def test_options_that_contradict_are_refused(
    container: Container, tiny_model: Path, tmp_path: Path, options: dict[str, Any], code: str
) -> None:
    with pytest.raises(HextuneError) as caught:
        planned(container, tiny_model, tmp_path, "dpo", options=options)
    assert [found.code for found in caught.value.problems] == [code]


def test_held_out_pairs_are_judged_too(
    container: Container, tiny_model: Path, tmp_path: Path
) -> None:
    asked = planned(container, tiny_model, tmp_path, "dpo", data={"eval_fraction": 0.25})
    _, events = run(container, asked, tmp_path / "run")
    measured = [data for kind, data in events if kind is EventKind.EVALUATION]
    assert measured[0]["loss"] == pytest.approx(math.log(2), abs=1e-4)
    assert measured[-1]["rewards/margin"] > 0  # type: ignore[operator]
