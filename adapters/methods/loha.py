"""LoHa: the product, entry by entry, of two low-rank updates (Hyeon-Woo et al. 2022).

For a layer of shape (out, in) and rank r: W + (alpha / r) * (B1 A1) * (B2 A2), whose rank reaches
r squared; A1, A2 of shape (r, in), B1, B2 of shape (out, r), B1 starting at zero.
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
    """Options of method loha."""

    rank: int = limited(8, ge=1)
    """Inner dimension r of each of the two updates."""
    alpha: float | None = limited(None, gt=0)
    """Scale: the update is multiplied by alpha / rank; the rank itself where not set."""
    targets: Targets = "all_linear"
    """Layers that get an adapter: all_linear, names such as [q_proj, v_proj], or patterns of whole
    paths."""


def trainable(values: Mapping[str, Json], model: ModelHandle) -> int:
    """Weights that learn: 2 r (in + out) for each layer. Raises HextuneError for layers lacking."""
    options = options_of(Options, values)
    groups = target_groups(options.targets, model)
    return sum(2 * options.rank * (g.inputs + g.outputs) * g.count for g in groups)


def start(values: Mapping[str, Json], model: ModelHandle) -> Start:
    """One factor starts at zero."""
    return Start(over_packed=False)


def prepare(values: Mapping[str, Json], model: ModelHandle, network: Any) -> Tuned:
    """`network` with a fresh adapter attached; only the adapter requires gradients."""
    from peft import LoHaConfig, get_peft_model

    options = options_of(Options, values)
    config = LoHaConfig(
        r=options.rank,
        alpha=options.alpha if options.alpha is not None else options.rank,
        target_modules=peft_targets(options.targets, model),
        task_type="CAUSAL_LM",
    )
    return Tuned(get_peft_model(network, config, autocast_adapter_dtype=False))
