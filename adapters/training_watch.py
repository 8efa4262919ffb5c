"""Everything that watches a training, as callbacks in the order they have to be called."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adapters.checkpointing import newest_usable, step_of
from adapters.finite_guard import FiniteGuard
from adapters.models.hf import HfLoaded
from adapters.training_events import EventCallback
from adapters.training_samples import SampleCallback
from adapters.watchdog import Watchdog
from domain.dataset import DatasetKind
from domain.events import EventKind
from ports.trainer import Emit, TrainRequest


class Watchers:
    """The guard, the events, the samples and the watchdog of one training."""

    def __init__(self, request: TrainRequest, emit: Emit) -> None:
        loaded = request.model
        assert isinstance(loaded, HfLoaded)
        tracking = request.spec.tracking
        guard = FiniteGuard(request)
        self.events = EventCallback(request, emit, guard)
        self.watchdog = Watchdog(tracking.stall_after_s, emit)
        chats = request.plan.trainer.eats is not DatasetKind.TEXT
        samples = (
            [SampleCallback(tracking.samples, loaded.tokenizer, chats=chats, emit=emit)]
            if tracking.samples is not None
            else []
        )
        self.callbacks: Sequence[Any] = [guard, self.events, *samples, self.watchdog]


def continued_from(request: TrainRequest, emit: Emit) -> Path | None:
    """The checkpoint a resumed run goes on from, if any; those it passes over are warned of."""
    checkpoint, passed = newest_usable(Path(request.folder) / "checkpoints")
    emit(EventKind.RESUMED, {"step": step_of(checkpoint) if checkpoint else 0})
    for found in passed:
        emit(EventKind.WARNING, found.as_json())
    return checkpoint
