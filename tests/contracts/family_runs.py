"""One tiny model of a type through its whole life: load, LoRA, save, reload, merge, generate."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from domain.conversation import Conversation, Message, Role
from domain.events import EventKind
from domain.fingerprint import Json
from domain.model_handle import LinearLayers, ModelHandle, ResolvedModel
from domain.run_spec import ModelSection
from domain.sampling import GenerationRequest, Sampling
from entrypoints.container import Container, make_container
from ports.spec_reader import SpecText
from ports.trainer import TrainRequest
from tests.fixtures.tiny_families import build_tiny_family

STEPS = 6
LEAST_FALL = 0.02
"""Nats; every step sees the same rows, so the loss is no matter of luck."""
QUESTION = Conversation((Message(Role.USER, "What is the capital?"),))


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyRun:
    """What was seen of one type."""

    attention: str
    """The attention kernel that was chosen for it."""
    linear: tuple[LinearLayers, ...]
    """Its linear layers as the handle has them."""
    adapted: frozenset[str]
    """Names of the layers with an adapter in what was saved."""
    losses: tuple[float, ...]
    """The loss of every step."""
    merge_difference: float
    """Largest logit difference of base plus adapter from the merged model, re-read."""
    answers: tuple[str, str, str]
    """Greedy answers of the base, of base plus reloaded adapter, of the merged model."""


def run_family(model_type: str, folder: Path) -> FamilyRun:
    """Train LoRA for a few steps through the real trainer, and use what it saved."""
    model = build_tiny_family(model_type, folder / "base")
    container = make_container(str(folder / "runs"))
    handle, attention, losses = _train(container, model, folder)
    tuned = replace(handle, adapters=(str(folder / "run" / "model"),))
    report = container.models().merge(tuned, str(folder / "merged"), "float32")
    merged = container.models().inspect(ModelSection(name=str(folder / "merged")))
    return FamilyRun(
        attention=attention,
        linear=tuple(handle.linear),
        adapted=_adapted(folder / "run" / "model"),
        losses=losses,
        merge_difference=report.max_difference,
        answers=(_answer(handle), _answer(tuned), _answer(merged)),
    )


def _train(
    container: Container, model: Path, folder: Path
) -> tuple[ModelHandle, str, tuple[float, ...]]:
    """(the model, the attention kernel it trained with, losses)."""
    handle = container.models().inspect(ModelSection(name=str(model)))
    planned = container.plan_run()(_spec(handle, folder))
    losses: list[float] = []

    def report(kind: EventKind, data: Mapping[str, Json]) -> None:
        if kind is EventKind.STEP:
            losses.append(float(data["loss"]))  # type: ignore[arg-type]

    spec, plan = planned.document.spec, planned.plan
    loaded = container.models().load(planned.model, plan.precision, None)
    request = TrainRequest(
        spec=spec,
        plan=plan,
        data=planned.data,
        model=loaded,
        folder=str(folder / "run"),
        resume=False,
        stop_asked=lambda: False,
    )
    container.trainer().train(request, report)
    return handle, planned.model.attention, tuple(losses)


def _adapted(adapter: Path) -> frozenset[str]:
    from safetensors.torch import load_file

    names = load_file(adapter / "adapter_model.safetensors")
    return frozenset(name.split(".lora_")[0].rpartition(".")[2] for name in names)


def _spec(handle: ModelHandle, folder: Path) -> SpecText:
    rows = folder / "rows.jsonl"
    row = json.dumps({"instruction": "What is it?", "output": "In short: it is the capital."})
    rows.write_text(f"{row}\n" * 4, encoding="utf-8")
    spec = {
        "model": {"name": handle.name},
        "data": {"train": [{"path": str(rows)}]},
        "method": {"name": "lora", "rank": 4},
        "optimizer": {"learning_rate": 0.02},
        "schedule": {"max_steps": STEPS, "scheduler": "constant", "warmup_steps": 0},
        "batching": {"per_device": 4, "accumulate": 1},
        "precision": {"mode": "full"},
    }
    return SpecText(text=json.dumps(spec), format="json", source="test")


def _answer(handle: ModelHandle) -> str:
    """A greedy answer of the engine, which loads from disk."""
    from adapters.catalog import FolderCatalog
    from adapters.hardware import TorchHardware

    resolved = ResolvedModel(label="tuned", handle=handle, created_at=0.0)
    module = FolderCatalog().part("engines", "transformers")
    engine = module.Engine(resolved, TorchHardware().probe())
    request = GenerationRequest(
        model=engine.models()[0].name,
        conversation=QUESTION,
        sampling=Sampling(temperature=0, max_tokens=8),
    )
    text = "".join(delta.text for delta in engine.generate(request))
    engine.close()
    return text


def judged(found: FamilyRun) -> str:
    """`works`, or what went wrong."""
    base, tuned, merged = found.answers
    if len(found.losses) != STEPS or not all(map(math.isfinite, found.losses)):
        return f"training: losses {found.losses}"
    if min(found.losses) > found.losses[0] - LEAST_FALL:
        return "training: the loss does not fall"
    if found.merge_difference > 1e-3:
        return f"merging: logits differ by {found.merge_difference:.2g}"
    if tuned != merged:
        return "generating: the merged model answers otherwise than base and adapter"
    return "works" if tuned != base else "reloading: the adapter changes nothing"
