"""Adam-mini: one learning rate for each row or head instead of each weight (Zhang et al. 2024).

The mean of squared gradients is kept for each head of queries and keys, each row of other matrices
and each norm, the gradient's mean for each weight: half of AdamW's states.
"""

from collections.abc import Mapping, Sequence

from adapters.optimizers import Built, Weight
from adapters.packages import require_package
from domain.fingerprint import Json
from domain.model_handle import ModelHandle
from domain.optimizing import Kept, Need
from domain.section import limited, options_of, section


@section
class Options:
    """Options of optimizer adam_mini."""

    learning_rate: float = limited(2e-5, gt=0)
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
    """Raises HextuneError where adam-mini is missing."""
    require_package("adam-mini", extra="adam-mini", field="optimizer.name", name="adam_mini")


def needs(values: Mapping[str, Json]) -> frozenset[Need]:
    """Whole heads and rows, and one GPU, as it waits for a process on every other."""
    return frozenset({Need.WHOLE_WEIGHTS, Need.LONE_DEVICE})


def keeps(values: Mapping[str, Json], model: ModelHandle, trainable: int) -> Kept:
    """A mean for each weight and a square for each row, of which there is one in `hidden`."""
    return Kept(numbers=trainable + trainable // model.hidden)


def build(values: Mapping[str, Json], model: ModelHandle, weights: Sequence[Weight]) -> Built:
    """adam-mini's Adam_mini, each weight a group with the rate the method gives it."""
    from adam_mini import Adam_mini

    options = options_of(Options, values)
    made = Adam_mini(
        [(weight.name, weight.tensor) for weight in weights],
        lr=options.learning_rate,
        betas=(options.beta1, options.beta2),
        eps=options.epsilon,
        weight_decay=options.weight_decay,
        dim=model.hidden,
        n_heads=_hidden_heads(model),
        verbose=False,
    )
    for group, weight in zip(made.param_groups, weights, strict=True):
        group["lr"] *= weight.rate
    return Built(made)


def _hidden_heads(model: ModelHandle) -> int:
    """How many heads make up the hidden width; the library takes a head's size from it.

    Heads can be wider together than the hidden width; queries tell how wide one is.
    """
    widths = [group.outputs // model.heads for group in model.linear if group.name == "q_proj"]
    return model.hidden // widths[0] if widths else model.heads
