"""Ranks: the processes of one training, which step together."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from domain.prepared import PreparedData
from domain.run_plan import RunPlan
from domain.run_spec import ModelSection, RunSpec
from ports.trainer import TrainOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What is trained, planned and with its rows ready; it can be handed to another process."""

    spec: RunSpec
    plan: RunPlan
    data: PreparedData
    model: ModelSection
    """The spec's model, its adapters as folders, its attention and rope factor chosen."""
    folder: str
    """Run folder."""
    resume: bool
    """Continue from the newest complete checkpoint."""


class RankLauncher(Protocol):
    """Trains in several processes of this machine."""

    def run(self, training: Training, stop_asked: Callable[[], bool]) -> TrainOutcome:
        """Start the plan's processes and wait for their end; the first one records the events.

        Raises HextuneError for what a process raised, and where one died.
        """
