"""AdamW: adaptive moments with decoupled weight decay (Loshchilov and Hutter 2019)."""

from collections.abc import Mapping
from typing import Any

from domain.fingerprint import Json
from domain.section import limited, section


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


def training_arguments(values: Mapping[str, Json]) -> dict[str, Any]:
    """The fields of transformers' TrainingArguments that make this optimizer."""
    options = Options(**values)  # type: ignore[arg-type]
    return {
        "optim": "adamw_torch",
        "learning_rate": options.learning_rate,
        "weight_decay": options.weight_decay,
        "adam_beta1": options.beta1,
        "adam_beta2": options.beta2,
        "adam_epsilon": options.epsilon,
    }
