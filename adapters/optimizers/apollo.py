"""APOLLO: SGD-like memory, AdamW-like steps (Zhu et al. 2024).

The step of each row is scaled by how AdamW would have scaled it in a random subspace of rank r.
Other weights are trained by plain AdamW.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from adapters.optimizers import (
    IN_BACKWARD,
    Built,
    Targets,
    Weight,
    chosen_layers,
    largest_matrix,
    parameter_groups,
    split_matrices,
    step_in_backward,
)
from adapters.optimizers.galore import low_rank_numbers
from adapters.packages import require_package
from domain.fingerprint import Json
from domain.model_handle import ModelHandle
from domain.optimizing import Kept, Need
from domain.section import limited, options_of, section


@section
class Options:
    """Options of optimizer apollo."""

    learning_rate: float = limited(1e-3, gt=0)
    """Peak learning rate."""
    weight_decay: float = limited(0.0, ge=0)
    """Share of each weight removed per unit of learning rate."""
    rank: int = limited(256, ge=1)
    """Dimensions r of the random subspace; 1 makes APOLLO-Mini together with scale_by tensor."""
    scale: float = limited(1.0, gt=0)
    """What the scaled step is multiplied by; 128 for APOLLO-Mini."""
    scale_by: Literal["channel", "tensor"] = "channel"
    """Whether each row has its own scale or the whole matrix has one."""
    update_every: int = limited(200, ge=1)
    """Steps after which the subspace is drawn anew."""
    targets: Targets = "all_linear"
    """Layers whose gradients are projected: all_linear, or names such as [q_proj, v_proj]."""
    layerwise: bool = False
    """Step each weight within the backward pass, so that no two gradients exist together."""


def check() -> None:
    """Raises HextuneError where apollo-torch is missing."""
    require_package("apollo-torch", extra="apollo", field="optimizer.name", name="apollo")


def needs(values: Mapping[str, Json]) -> frozenset[Need]:
    """Whole matrices; layer by layer, nothing that wants all gradients."""
    layerwise = options_of(Options, values).layerwise
    return frozenset({Need.WHOLE_WEIGHTS}) | (IN_BACKWARD if layerwise else frozenset())


def keeps(values: Mapping[str, Json], model: ModelHandle, trainable: int) -> Kept:
    """Two projected moments and the projection for each matrix, two moments for other weights."""
    options = options_of(Options, values)
    layers = chosen_layers(options.targets, model)
    return Kept(
        numbers=low_rank_numbers(layers, trainable, options.rank),
        gradients=largest_matrix(model) if options.layerwise else None,
    )


def build(values: Mapping[str, Json], model: ModelHandle, weights: Sequence[Weight]) -> Built:
    """apollo-torch's AdamW. Its projectors may be read back from a checkpoint."""
    import torch
    from apollo_torch import APOLLOAdamW
    from apollo_torch.random_projector import GradientProjector

    torch.serialization.add_safe_globals([GradientProjector])
    options = options_of(Options, values)
    matrices, others = split_matrices(weights, chosen_layers(options.targets, model))
    rates = {"learning_rate": options.learning_rate, "weight_decay": options.weight_decay}
    projection = {
        "rank": options.rank,
        "proj": "random",
        "scale_type": options.scale_by,
        "scale": options.scale,
        "update_proj_gap": options.update_every,
        "proj_type": "std",
    }
    groups = [{**group, **projection} for group in parameter_groups(matrices, **rates)]
    groups += parameter_groups(others, **rates)
    made = APOLLOAdamW(groups, lr=options.learning_rate)
    if options.layerwise:
        step_in_backward(made, weights)
    return Built(made)
