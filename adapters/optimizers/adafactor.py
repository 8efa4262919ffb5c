"""Adafactor: the mean of squared gradients kept by rows and columns (Shazeer and Stern 2018)."""

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.optimizers import Weight, parameter_groups
from domain.fingerprint import Json
from domain.model_handle import ModelHandle
from domain.section import limited, options_of, section

NEEDS: frozenset[str] = frozenset()


@section
class Options:
    """Options of optimizer adafactor."""

    learning_rate: float = limited(1e-3, gt=0)
    """Peak learning rate."""
    weight_decay: float = limited(0.0, ge=0)
    """Share of each weight removed per unit of learning rate."""


def check() -> None:
    """Nothing beyond torch is needed."""


def states(
    values: Mapping[str, Json], model: ModelHandle, trainable: int
) -> tuple[int, float | None]:
    """A row and a column for each matrix, and every number of the norms.

    Weights that are no layer of the model, such as an adapter's, keep about as much by their own
    rows and columns: less than a tenth of their size.
    """
    if trainable < model.parameters:
        return trainable // 10, None
    sides = sum((group.inputs + group.outputs) * group.count for group in model.linear)
    linear = sum(group.inputs * group.outputs * group.count for group in model.linear)
    tables, rest = divmod(model.parameters - linear, model.vocabulary * model.hidden)
    return sides + tables * (model.vocabulary + model.hidden) + rest, None


def build(values: Mapping[str, Json], weights: Sequence[Weight]) -> Any:
    """torch's Adafactor."""
    import torch

    options = options_of(Options, values)
    groups = parameter_groups(
        weights, learning_rate=options.learning_rate, weight_decay=options.weight_decay
    )
    return torch.optim.Adafactor(groups, lr=options.learning_rate)
