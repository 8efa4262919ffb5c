"""APOLLO: SGD-like memory, AdamW-like steps (Zhu et al. 2024).

The step of each row is scaled by how AdamW would have scaled it in a random subspace of rank r.
Other weights are trained by plain AdamW.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from adapters.optimizers import Weight, parameter_groups, split_matrices
from adapters.optimizers.galore import low_rank_states
from adapters.packages import require_package
from domain.fingerprint import Json
from domain.model_handle import ModelHandle
from domain.section import limited, options_of, section

NEEDS = frozenset({"whole_weights"})


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
    targets: tuple[str, ...] = ("self_attn", "attn", "attention", "mlp")
    """Modules whose matrices are projected."""


def check() -> None:
    """Raises HextuneError where apollo-torch is missing."""
    require_package("apollo-torch", extra="apollo", field="optimizer.name", name="apollo")


def states(
    values: Mapping[str, Json], model: ModelHandle, trainable: int
) -> tuple[int, float | None]:
    """Two projected moments for each matrix, two moments for other weights."""
    rank = options_of(Options, values).rank
    return low_rank_states(model, trainable, rank, projections=True), None


def build(values: Mapping[str, Json], weights: Sequence[Weight]) -> Any:
    """apollo-torch's AdamW. Its projectors may be read back from a checkpoint."""
    import torch
    from apollo_torch import APOLLOAdamW
    from apollo_torch.random_projector import GradientProjector

    torch.serialization.add_safe_globals([GradientProjector])
    options = options_of(Options, values)
    matrices, others = split_matrices(weights, options.targets)
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
    return APOLLOAdamW(groups, lr=options.learning_rate)
