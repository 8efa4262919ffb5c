"""One process on one device."""

from typing import Any

from domain.run_spec import RunSpec
from ports.trainer import TrainRequest


def check(spec: RunSpec) -> None:
    """Nothing beyond torch is needed."""


def arguments(request: TrainRequest) -> dict[str, Any]:
    """Nothing is turned on."""
    return {}


def wraps(trainer: Any) -> bool:
    """Whether the model is trained as it is."""
    return trainer.model_wrapped is trainer.model
