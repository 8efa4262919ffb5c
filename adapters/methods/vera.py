"""VeRA: shared frozen random matrices, scaled by learned vectors (Kopiczko et al. 2024).

For a layer of shape (out, in) and rank r: W x + b * (B (d * (A x))), where A and B are random and
frozen, and d of length r and b of length out learn, b starting at zero.
"""

from collections.abc import Mapping
from typing import Any

from adapters.methods import Start, Tuned
from adapters.models.targets import Targets, peft_targets, target_groups
from domain.fingerprint import Json
from domain.model_handle import ModelHandle
from domain.section import limited, options_of, section

ADAPTER_BASED = True
ADDS_WEIGHTS = True


@section
class Options:
    """Options of method vera."""

    rank: int = limited(256, ge=1)
    """Inner dimension r; larger than LoRA's, as only vectors learn."""
    dropout: float = limited(0.0, ge=0, lt=1)
    """Share of the adapter's inputs zeroed while training."""
    targets: Targets = "all_linear"
    """Layers that get an adapter: all_linear, names such as [q_proj, v_proj], or patterns of whole
    paths."""


def trainable(values: Mapping[str, Json], model: ModelHandle) -> int:
    """Weights that learn: r + out for each layer. Raises HextuneError for layers that lack."""
    options = options_of(Options, values)
    groups = target_groups(options.targets, model)
    return sum((options.rank + group.outputs) * group.count for group in groups)


def start(values: Mapping[str, Json], model: ModelHandle) -> Start:
    """The vector b starts at zero."""
    return Start()


def prepare(values: Mapping[str, Json], model: ModelHandle, network: Any) -> Tuned:
    """`network` with fresh vectors attached; only they require gradients."""
    from peft import VeraConfig, get_peft_model

    options = options_of(Options, values)
    config = VeraConfig(
        r=options.rank,
        vera_dropout=options.dropout,
        target_modules=peft_targets(options.targets, model),
        task_type="CAUSAL_LM",
    )
    return Tuned(get_peft_model(network, config, autocast_adapter_dtype=False))
