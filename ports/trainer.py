"""Training: a loaded model and encoded rows in, an adapter or a model out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from domain.events import EventKind
from domain.fingerprint import Json
from domain.model_handle import ModelHandle
from domain.prepared import PreparedData
from domain.run_plan import RunPlan, TrainerFacts
from domain.run_spec import RunSpec
from ports.model import LoadedModel

Emit = Callable[[EventKind, Mapping[str, Json]], None]
"""Reports an event; it is on disk when the call returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRequest:
    """One training, complete."""

    spec: RunSpec
    plan: RunPlan
    data: PreparedData
    model: LoadedModel
    folder: str
    """Run folder: checkpoints go to `checkpoints/`, the result to `model/`."""
    resume: bool
    """Continue from the newest complete checkpoint."""
    stop_asked: Callable[[], bool]
    """Whether the run shall save and end at the next step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOutcome:
    """How a training ended."""

    stopped: bool
    """Whether it was asked to end early."""
    step: int
    """Optimizer steps done."""
    results: Mapping[str, Json]
    """Final figures: losses, tokens, seconds, peak memory in bytes."""


class TrainerBackend(Protocol):
    """Trains with one library."""

    def facts(self, spec: RunSpec, model: ModelHandle) -> TrainerFacts:
        """What would learn, without weights."""

    def train(self, request: TrainRequest, emit: Emit) -> TrainOutcome:
        """Train to the end or until stopped. Raises HextuneError for what a user can mend."""
