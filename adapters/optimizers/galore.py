"""GaLore: AdamW in a low-rank subspace of each gradient, renewed now and then (Zhao et al. 2024).

A gradient of shape (m, n) with m <= n is projected to (r, n) by the first r left singular vectors;
the states have that shape. Other weights are trained by plain AdamW.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.optimizers import Weight, parameter_groups, split_matrices
from adapters.packages import require_package
from domain.fingerprint import Json
from domain.model_handle import ModelHandle
from domain.section import limited, options_of, section

NEEDS = frozenset({"whole_weights"})


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
    targets: tuple[str, ...] = ("self_attn", "attn", "attention", "mlp")
    """Modules whose matrices are projected."""


def check() -> None:
    """Raises HextuneError where galore-torch is missing."""
    require_package("galore-torch", extra="galore", field="optimizer.name", name="galore")


def states(
    values: Mapping[str, Json], model: ModelHandle, trainable: int
) -> tuple[int, float | None]:
    """Two projected moments and the projection for each matrix, two moments for other weights."""
    rank = options_of(Options, values).rank
    return low_rank_states(model, trainable, rank, projections=True), None


def low_rank_states(model: ModelHandle, trainable: int, rank: int, *, projections: bool) -> int:
    """Numbers kept for every linear layer in rank r and every other weight in full.

    The projection has r rows of the shorter side.
    """
    kept, projected = 0, 0
    for group in model.linear:
        short, long = sorted((group.inputs, group.outputs))
        r = min(rank, short)
        kept += (2 * r * long + (r * short if projections else 0)) * group.count
        projected += short * long * group.count
    return kept + 2 * max(0, trainable - projected)


def build(values: Mapping[str, Json], weights: Sequence[Weight]) -> Any:
    """galore-torch's AdamW. Its projectors may be read back from a checkpoint."""
    import torch
    from galore_torch import GaLoreAdamW
    from galore_torch.galore_projector import GaLoreProjector

    torch.serialization.add_safe_globals([GaLoreProjector])
    options = options_of(Options, values)
    matrices, others = split_matrices(weights, options.targets)
    rates = {"learning_rate": options.learning_rate, "weight_decay": options.weight_decay}
    projection = {
        "rank": options.rank,
        "update_proj_gap": options.update_every,
        "scale": options.scale,
        "proj_type": "std",
    }
    groups = [{**group, **projection} for group in parameter_groups(matrices, **rates)]
    groups += parameter_groups(others, **rates)
    return GaLoreAdamW(groups, lr=options.learning_rate, no_deprecation_warning=True)
