"""AdamW with states in 8 bits, quantized block by block (Dettmers et al. 2022), by bitsandbytes."""

from collections.abc import Mapping, Sequence

from adapters.optimizers import Built, Weight, parameter_groups
from adapters.packages import require_package
from domain.fingerprint import Json
from domain.model_handle import ModelHandle
from domain.optimizing import Kept, Need
from domain.section import limited, options_of, section

BLOCK = 256
"""Weights that share one float32 scale."""
SMALLEST = 4096
"""A tensor with fewer weights keeps its states in 32 bits."""


@section
class Options:
    """Options of optimizer adamw_8bit."""

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
    paged: bool = False
    """Let the states move to main memory when the GPU's is short."""


def check() -> None:
    """Raises HextuneError where bitsandbytes is missing."""
    require_package("bitsandbytes", extra="bitsandbytes", field="optimizer.name", name="adamw_8bit")


def needs(values: Mapping[str, Json]) -> frozenset[Need]:
    """Paged, a GPU to page from."""
    return frozenset({Need.GPU}) if options_of(Options, values).paged else frozenset()


def keeps(values: Mapping[str, Json], model: ModelHandle, trainable: int) -> Kept:
    """Two numbers of one byte for each weight, and the scales; small layers keep 32 bits."""
    small = sum(
        group.inputs * group.outputs * group.count
        for group in model.linear
        if group.inputs * group.outputs < SMALLEST
    )
    small = small if trainable == model.parameters else 0
    packed = 1 + 4 / BLOCK
    number_bytes = (small * 4 + (trainable - small) * packed) / trainable
    return Kept(numbers=2 * trainable, number_bytes=number_bytes)


def build(values: Mapping[str, Json], model: ModelHandle, weights: Sequence[Weight]) -> Built:
    """bitsandbytes' AdamW8bit, or its paged form."""
    import bitsandbytes

    options = options_of(Options, values)
    made = bitsandbytes.optim.PagedAdamW8bit if options.paged else bitsandbytes.optim.AdamW8bit
    groups = parameter_groups(
        weights, learning_rate=options.learning_rate, weight_decay=options.weight_decay
    )
    betas = (options.beta1, options.beta2)
    return Built(made(groups, lr=options.learning_rate, betas=betas, eps=options.epsilon))
