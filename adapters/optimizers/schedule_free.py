"""Schedule-free AdamW: averaging in place of a learning-rate schedule (Defazio et al. 2024)."""

from collections.abc import Mapping, Sequence

from adapters.optimizers import Built, Weight, parameter_groups
from adapters.packages import require_package
from domain.fingerprint import Json
from domain.model_handle import ModelHandle
from domain.optimizing import Kept, Need
from domain.section import limited, options_of, section


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


def needs(values: Mapping[str, Json]) -> frozenset[Need]:
    """A rate that stays."""
    return frozenset({Need.CONSTANT_RATE})


def keeps(values: Mapping[str, Json], model: ModelHandle, trainable: int) -> Kept:
    """The fast weight and the gradient's mean square for each weight."""
    return Kept(numbers=2 * trainable)


def build(values: Mapping[str, Json], model: ModelHandle, weights: Sequence[Weight]) -> Built:
    """schedulefree's AdamW; the average is what is evaluated and saved.

    transformers switches it to the average for evaluations and back for training; it learns at a
    point between average and fast weights.
    """
    from schedulefree import AdamWScheduleFree

    options = options_of(Options, values)
    groups = parameter_groups(
        weights, learning_rate=options.learning_rate, weight_decay=options.weight_decay
    )
    betas = (options.beta1, options.beta2)
    made = AdamWScheduleFree(groups, lr=options.learning_rate, betas=betas)
    return Built(made, finish=made.eval)
