"""AdamW: adaptive moments with decoupled weight decay (Loshchilov and Hutter 2019)."""

from collections.abc import Mapping, Sequence

from adapters.optimizers import Built, Weight, parameter_groups
from domain.fingerprint import Json
from domain.model_handle import ModelHandle
from domain.optimizing import Kept, Need
from domain.section import limited, options_of, section


@section
class Options:
    """Options of optimizer adamw."""

    learning_rate: float = limited(2e-4, gt=0)
    """Peak learning rate."""
    weight_decay: float = limited(0.0, ge=0)
    """Share of each weight removed per unit of learning rate."""
    beta1: float = limited(0.9, ge=0, lt=1)
    """Memory of the gradient's mean."""
    beta2: float = limited(0.999, ge=0, lt=1)
    """Memory of the gradient's square."""
    epsilon: float = limited(1e-8, gt=0)
    """Added to the denominator."""


def check() -> None:
    """Nothing beyond torch is needed."""


def needs(values: Mapping[str, Json]) -> frozenset[Need]:
    """Nothing in particular."""
    return frozenset()


def keeps(values: Mapping[str, Json], model: ModelHandle, trainable: int) -> Kept:
    """The gradient's mean and the mean of its square for each weight."""
    return Kept(numbers=2 * trainable)


def build(values: Mapping[str, Json], model: ModelHandle, weights: Sequence[Weight]) -> Built:
    """torch's AdamW."""
    import torch

    options = options_of(Options, values)
    groups = parameter_groups(
        weights, learning_rate=options.learning_rate, weight_decay=options.weight_decay
    )
    betas = (options.beta1, options.beta2)
    made = torch.optim.AdamW(groups, lr=options.learning_rate, betas=betas, eps=options.epsilon)
    return Built(made)
