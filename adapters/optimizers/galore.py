"""GaLore: AdamW in a low-rank subspace of each gradient, renewed now and then (Zhao et al. 2024).

A gradient of shape (m, n) with m <= n is projected to (r, n) by the first r left singular vectors;
the states have that shape. Other weights are trained by plain AdamW.
"""

from collections.abc import Mapping, Sequence

from adapters.optimizers import (
    IN_BACKWARD,
    Built,
    Targets,
    Weight,
    chosen_layers,
    largest_matrix,
    matrix_weights,
    parameter_groups,
    split_matrices,
    step_in_backward,
)
from adapters.packages import require_package
from domain.fingerprint import Json
from domain.model_handle import LinearLayers, ModelHandle
from domain.optimizing import Kept, Need
from domain.section import limited, options_of, section


@section
class Options:
    """Options of optimizer galore."""

    learning_rate: float = limited(1e-4, gt=0)
    """Peak learning rate."""
    weight_decay: float = limited(0.0, ge=0)
    """Share of each weight removed per unit of learning rate."""
    rank: int = limited(128, ge=1)
    """Dimensions r of the subspace."""
    scale: float = limited(2.0, gt=0)
    """What an update is multiplied by when it is projected back."""
    update_every: int = limited(200, ge=1)
    """Steps after which the subspace is computed anew."""
    targets: Targets = "all_linear"
    """Layers whose gradients are projected: all_linear, or names such as [q_proj, v_proj]."""
    layerwise: bool = False
    """Step each weight within the backward pass, so that no two gradients exist together."""


def check() -> None:
    """Raises HextuneError where galore-torch is missing."""
    require_package("galore-torch", extra="galore", field="optimizer.name", name="galore")


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


def low_rank_numbers(layers: Sequence[LinearLayers], trainable: int, rank: int) -> int:
    """Numbers kept for these layers in rank r, and for every other weight in full.

    The projection has r rows of the shorter side. Where only a part of the layers learns, it is
    taken to be of the same shapes.
    """
    kept = 0
    for group in layers:
        short, long = sorted((group.inputs, group.outputs))
        kept += min(rank, short) * (2 * long + short) * group.count
    whole = matrix_weights(layers)
    return kept * min(trainable, whole) // whole + 2 * max(0, trainable - whole)


def build(values: Mapping[str, Json], model: ModelHandle, weights: Sequence[Weight]) -> Built:
    """galore-torch's AdamW. Its projectors may be read back from a checkpoint."""
    import torch
    from galore_torch import GaLoreAdamW
    from galore_torch.galore_projector import GaLoreProjector

    torch.serialization.add_safe_globals([GaLoreProjector])
    options = options_of(Options, values)
    matrices, others = split_matrices(weights, chosen_layers(options.targets, model))
    rates = {"learning_rate": options.learning_rate, "weight_decay": options.weight_decay}
    projection = {
        "rank": options.rank,
        "update_proj_gap": options.update_every,
        "scale": options.scale,
        "proj_type": "std",
    }
    groups = [{**group, **projection} for group in parameter_groups(matrices, **rates)]
    groups += parameter_groups(others, **rates)
    made = GaLoreAdamW(groups, lr=options.learning_rate, no_deprecation_warning=True)
    if options.layerwise:
        step_in_backward(made, weights)
    return Built(made)
