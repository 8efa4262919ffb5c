"""Full fine-tuning: every weight learns."""

from collections.abc import Mapping
from typing import Any

from domain.fingerprint import Json
from domain.model_handle import ModelHandle
from domain.section import section

ADAPTER_BASED = False


@section
class Options:
    """Method full has no options."""


def trainable(values: Mapping[str, Json], model: ModelHandle) -> int:
    """All weights learn."""
    return model.parameters


def prepare(values: Mapping[str, Json], model: ModelHandle, network: Any) -> Any:
    """`network` itself, all of it requiring gradients."""
    return network.requires_grad_(True)
