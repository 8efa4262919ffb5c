"""Lion: steps by the sign of an averaged gradient, one state for each weight (Chen et al. 2023).

Every weight moves by the whole learning rate, so it takes one about a tenth of AdamW's.
"""

from collections.abc import Mapping, Sequence

from adapters.optimizers import Built, Weight, parameter_groups
from adapters.packages import require_package
from domain.fingerprint import Json
from domain.model_handle import ModelHandle
from domain.optimizing import Kept, Need
from domain.section import limited, options_of, section


@section
class Options:
    """Options of optimizer lion."""

    learning_rate: float = limited(2e-5, gt=0)
    """Peak learning rate."""
    weight_decay: float = limited(0.0, ge=0)
    """Share of each weight removed per unit of learning rate."""
    beta1: float = limited(0.9, ge=0, lt=1)
    """Share of the remembered gradient in a step."""
    beta2: float = limited(0.99, ge=0, lt=1)
    """Memory of the gradient."""


def check() -> None:
    """Raises HextuneError where lion-pytorch is missing."""
    require_package("lion-pytorch", extra="lion", field="optimizer.name", name="lion")


def needs(values: Mapping[str, Json]) -> frozenset[Need]:
    """Nothing in particular."""
    return frozenset()


def keeps(values: Mapping[str, Json], model: ModelHandle, trainable: int) -> Kept:
    """The gradient's mean for each weight."""
    return Kept(numbers=trainable)


def build(values: Mapping[str, Json], model: ModelHandle, weights: Sequence[Weight]) -> Built:
    """lion-pytorch's Lion."""
    from lion_pytorch import Lion

    options = options_of(Options, values)
    groups = parameter_groups(
        weights, learning_rate=options.learning_rate, weight_decay=options.weight_decay
    )
    return Built(Lion(groups, lr=options.learning_rate, betas=(options.beta1, options.beta2)))
