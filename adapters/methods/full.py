"""Full fine-tuning: every weight learns."""

from collections.abc import Mapping
from typing import Any

from adapters.methods import Start, Tuned
from domain.fingerprint import Json
from domain.model_handle import ModelHandle
from domain.section import section

ADAPTER_BASED = False
ADDS_WEIGHTS = False


@section
class Options:
    """Method full has no options."""


def trainable(values: Mapping[str, Json], model: ModelHandle) -> int:
    """All weights learn."""
    return model.parameters


def start(values: Mapping[str, Json], model: ModelHandle) -> Start:
    """From the weights as they are."""
    return Start(over_packed=False)


def prepare(values: Mapping[str, Json], model: ModelHandle, network: Any) -> Tuned:
    """`network` itself, all of it requiring gradients."""
    return Tuned(network.requires_grad_(True))
