"""Schedule-free AdamW: averaging in place of a learning-rate schedule (Defazio et al. 2024)."""

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.optimizers import Weight, parameter_groups
from adapters.packages import require_package
from domain.fingerprint import Json
from domain.model_handle import ModelHandle
from domain.section import limited, options_of, section

NEEDS = frozenset({"constant_rate"})


@section
class Options:
    """Options of optimizer schedule_free."""

    learning_rate: float = limited(2.5e-3, gt=0)
    """Learning rate; it holds to the end."""
    weight_decay: float = limited(0.0, ge=0)
    """Share of each weight removed per unit of learning rate."""
    beta1: float = limited(0.9, ge=0, lt=1)
    """How far gradients are taken from the average towards the fast weights."""
    beta2: float = limited(0.999, ge=0, lt=1)
    """Memory of the gradient's square."""


def check() -> None:
    """Raises HextuneError where schedulefree is missing."""
    require_package(
        "schedulefree", extra="schedulefree", field="optimizer.name", name="schedule_free"
    )


def states(
    values: Mapping[str, Json], model: ModelHandle, trainable: int
) -> tuple[int, float | None]:
    """The fast weight and the gradient's mean square for each weight."""
    return 2 * trainable, None


def build(values: Mapping[str, Json], weights: Sequence[Weight]) -> Any:
    """schedulefree's AdamW; the trainer switches it between training and evaluation."""
    from schedulefree import AdamWScheduleFree

    options = options_of(Options, values)
    groups = parameter_groups(
        weights, learning_rate=options.learning_rate, weight_decay=options.weight_decay
    )
    betas = (options.beta1, options.beta2)
    return AdamWScheduleFree(groups, lr=options.learning_rate, betas=betas)
