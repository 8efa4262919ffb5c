"""Several trainings in one start of two ranks, so that their libraries are loaded once."""

import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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


def train_in_ranks(folder: Path, trainings: list[Training]) -> list[Trained]:
    """Train one after another in the same two ranks; all of one strategy."""
    folder.mkdir(parents=True)
    with (folder / FILE).open("wb") as file:
        pickle.dump(trainings, file)
    first = Training(
        spec=trainings[0].spec,
        plan=trainings[0].plan,
        data=trainings[0].data,
        model=trainings[0].model,
        folder=str(folder),
        resume=False,
    )
    ElasticRankLauncher("tests.contracts.rank_cases:train_all").run(first, lambda: False)
    return [read(Path(training.folder)) for training in trainings]


def read(folder: Path) -> Trained:
    lines = (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()
    return Trained([tuple(json.loads(line)) for line in lines], folder / "model")


def train_all(start: Training, rank: int, stop_asked: Callable[[], bool]) -> TrainOutcome:
    """What each rank does."""
    from transformers.integrations import unset_hf_deepspeed_config

    with (Path(start.folder) / FILE).open("rb") as file:
        trainings: list[Training] = pickle.load(file)
    container = make_container(str(Path(start.folder).parent))
    for training in trainings:
        unset_hf_deepspeed_config()  # the last training's, which would divide weights while loading

        def emit(kind: EventKind, data: Mapping[str, Json], training: Training = training) -> None:
            if rank == 0:
                with (Path(training.folder) / "events.jsonl").open("a", encoding="utf-8") as file:
                    file.write(json.dumps([kind.value, dict(data)]) + "\n")

        outcome: TrainOutcome = container.train_model()(training, emit, stop_asked)
    return outcome
