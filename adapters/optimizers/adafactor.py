"""Adafactor: the mean of squared gradients kept by rows and columns (Shazeer and Stern 2018)."""

from collections.abc import Mapping, Sequence

from adapters.optimizers import Built, Weight, parameter_groups
from domain.fingerprint import Json
from domain.model_handle import ModelHandle
from domain.optimizing import Kept, Need
from domain.section import limited, options_of, section


@section
class Options:
    """Options of optimizer adafactor."""

    learning_rate: float = limited(1e-3, gt=0)
    """Peak learning rate."""
    weight_decay: float = limited(0.0, ge=0)
    """Share of each weight removed per unit of learning rate."""


def check() -> None:
    """Nothing beyond torch is needed."""


def needs(values: Mapping[str, Json]) -> frozenset[Need]:
    """Nothing in particular."""
    return frozenset()


def keeps(values: Mapping[str, Json], model: ModelHandle, trainable: int) -> Kept:
    """A row and a column for each matrix, and every number of the norms.

    Where only a part learns, its shapes are not known: an adapter of rank 8 keeps an eighth, whole
    layers keep less.
    """
    if trainable < model.parameters:
        return Kept(numbers=trainable // 8)
    sides = sum((group.inputs + group.outputs) * group.count for group in model.linear)
    linear = sum(group.inputs * group.outputs * group.count for group in model.linear)
    tables, rest = divmod(model.parameters - linear, model.vocabulary * model.hidden)
    return Kept(numbers=sides + tables * (model.vocabulary + model.hidden) + rest)


def build(values: Mapping[str, Json], model: ModelHandle, weights: Sequence[Weight]) -> Built:
    """torch's Adafactor."""
    import torch

    options = options_of(Options, values)
    groups = parameter_groups(
        weights, learning_rate=options.learning_rate, weight_decay=options.weight_decay
    )
    return Built(torch.optim.Adafactor(groups, lr=options.learning_rate))
