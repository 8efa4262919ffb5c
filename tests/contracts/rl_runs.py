"""Runs of stages that learn from rewards on a tiny model, and what they did inside."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from adapters import rollout_trainer
from adapters.rollouts import Rollouts
from domain.events import EventKind
from entrypoints.container import Container
from entrypoints.services.plan_run import Planned
from tests.contracts.test_trainer import Events, run, spec_text

LETTER: Mapping[str, Any] = {"name": "regex", "pattern": "e"}
STAGES: Mapping[str, Mapping[str, Any]] = {
    "ppo": {"epochs": 2, "minibatches": 2, "kl_target": 0.5},
    "grpo": {"generations": 4},
    "rloo": {"generations": 4},
}
PROMPTS = [
    {"instruction": f"What is {n} plus {'a lot and ' * (n % 3)}one?", "answer": n + 1}
    for n in range(8)
]


def planned(
    container: Container, model: Path, folder: Path, /, stage: str, **sections: Any
) -> Planned:
    """A plan of a stage over prompts; `options` are its own, `data` is added to the section."""
    path = folder / "prompts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in PROMPTS), encoding="utf-8")
    options = {"rewards": [LETTER], "max_new_tokens": 6, **STAGES[stage]}
    options |= sections.pop("options", {})
    settings = {
        "stage": {"name": stage, **options},
        "data": {"train": [{"path": str(path)}], **sections.pop("data", {})},
        "method": {"name": "lora", "rank": 8},
        "optimizer": {"learning_rate": 0.01},
        "batching": {"per_device": 4},
        "schedule": {"max_steps": 4, "scheduler": "constant", "warmup_steps": 0},
        **sections,
    }
    found: Planned = container.plan_run()(spec_text(model, path, **settings))
    return found


def figures(events: Events, name: str) -> list[float]:
    """A figure of each step."""
    return [float(data[name]) for kind, data in events if kind is EventKind.STEP]  # type: ignore[arg-type]


@dataclass
class Watched:
    """What a run did inside."""

    trainers: list[Any] = field(default_factory=list)
    rollouts: list[Rollouts] = field(default_factory=list)

    @property
    def network(self) -> Any:
        """The network of the last run."""
        return self.trainers[-1].model


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    """Notes every trainer, and the answers of every step when they are about to be credited."""
    seen = Watched()

    class Noting(rollout_trainer.RolloutTrainer):
        def __init__(self, **arguments: Any) -> None:
            learning = arguments["learning"]

            class Learning:
                has_values = learning.has_values
                loss = staticmethod(learning.loss)

                def credit(self, found: Rollouts, kl_weight: float) -> Rollouts:
                    seen.rollouts.append(learning.credit(found, kl_weight))
                    return seen.rollouts[-1]

            super().__init__(**{**arguments, "learning": Learning()})
            seen.trainers.append(self)

    monkeypatch.setattr(rollout_trainer, "RolloutTrainer", Noting)
    return seen


__all__ = ["run"]
