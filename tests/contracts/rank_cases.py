"""Several trainings in one start of two ranks, so that their libraries are loaded once."""

import json
import pickle
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from adapters.launch_ranks import ElasticRankLauncher
from domain.events import EventKind
from domain.fingerprint import Json
from entrypoints.container import Container, make_container
from ports.ranks import Training
from ports.spec_reader import SpecText
from ports.trainer import TrainOutcome

FILE = "cases.pickle"
STOP_AFTER = 3
"""The step after which an interrupted training stops: the first of its second epoch."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training left."""

    events: list[tuple[str, Mapping[str, Any]]]
    model: Path

    @property
    def losses(self) -> dict[int, float]:
        return {int(data["step"]): data["loss"] for kind, data in self.events if kind == "step"}

    def weights(self) -> dict[str, Any]:
        """Everything in the safetensors of the result."""
        from safetensors.torch import load_file

        files = sorted(self.model.glob("*model.safetensors"))
        return {name: tensor for file in files for name, tensor in load_file(file).items()}


def training_of(container: Container, folder: Path, spec: Mapping[str, Any]) -> Training:
    """A planned training; its folder is made."""
    text = SpecText(text=json.dumps(spec), format="json", source="test")
    planned = container.plan_run()(text)
    folder.mkdir(parents=True)
    return Training(
        spec=planned.document.spec,
        plan=planned.plan,
        data=planned.data,
        model=planned.model,
        folder=str(folder),
        resume=False,
    )


def train_here(container: Container, training: Training) -> Trained:
    """Train in this process."""
    events: list[tuple[str, Mapping[str, Any]]] = []
    container.train_model()(
        training, lambda kind, data: events.append((kind.value, data)), lambda: False
    )
    return Trained(events, Path(training.folder) / "model")


def train_in_ranks(
    folder: Path, trainings: list[Training], interrupted: Collection[str] = ()
) -> list[Trained]:
    """Train one after another in the same two ranks; all of one strategy.

    Those in the folders `interrupted` are stopped, and resumed from the checkpoint they left.
    """
    folder.mkdir(parents=True)
    with (folder / FILE).open("wb") as file:
        pickle.dump((trainings, interrupted), file)
    first = replace(trainings[0], folder=str(folder))
    ElasticRankLauncher("tests.contracts.rank_cases:train_all").run(first, lambda: False)
    return [read(Path(training.folder)) for training in trainings]


def read(folder: Path) -> Trained:
    lines = (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()
    return Trained([tuple(json.loads(line)) for line in lines], folder / "model")


def train_all(start: Training, rank: int, stop_asked: Callable[[], bool]) -> TrainOutcome:
    """What each rank does."""
    with (Path(start.folder) / FILE).open("rb") as file:
        trainings, interrupted = pickle.load(file)
    container = make_container(str(Path(start.folder).parent))
    outcome = None
    for training in trainings:
        if training.folder in interrupted:
            assert train_one(container, training, rank, STOP_AFTER).stopped
            training = replace(training, resume=True)
        outcome = train_one(container, training, rank, None)
    assert outcome is not None
    return outcome


def train_one(
    container: Container, training: Training, rank: int, stop_after: int | None
) -> TrainOutcome:
    """One training in this rank; the first rank keeps its events."""
    from transformers.integrations import unset_hf_deepspeed_config

    unset_hf_deepspeed_config()  # the last training's, which would divide weights while loading
    logged = 0

    def emit(kind: EventKind, data: Mapping[str, Json]) -> None:
        nonlocal logged
        logged += kind is EventKind.STEP
        if rank == 0:
            with (Path(training.folder) / "events.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps([kind.value, dict(data)]) + "\n")

    def stops() -> bool:
        return stop_after is not None and logged >= stop_after - 1  # a step is logged at its end

    outcome: TrainOutcome = container.train_model()(training, emit, stops)
    return outcome
