"""LoKr: the update is a Kronecker product of two small matrices (Yeh et al. 2024).

For a layer of shape (out, in): W + (alpha / r) * (C kron (B A)), with out = out1 out2 and
in = in1 in2 as near to squares as they go; C of shape (out1, in1), B of shape (out2, r), A of shape
(r, in2), C starting at zero. Where r is no smaller than a half of the larger side, B A is one
matrix.
"""

from collections.abc import Mapping
from typing import Any

from adapters.methods import Start, Tuned
from adapters.models.attaching import adapter_weights
from adapters.models.targets import Targets, peft_targets
from domain.fingerprint import Json
from domain.model_handle import ModelHandle
from domain.section import limited, options_of, section

ADAPTER_BASED = True
ADDS_WEIGHTS = True


@section
class Options:
    """Options of method lokr."""

    rank: int = limited(8, ge=1)
    """Inner dimension r of the second matrix."""
    alpha: float | None = limited(None, gt=0)
    """Scale: the update is multiplied by alpha / rank; the rank itself where not set."""
    targets: Targets = "all_linear"
    """Layers that get an adapter: all_linear, names such as [q_proj, v_proj], or patterns of whole
    paths."""


def trainable(values: Mapping[str, Json], model: ModelHandle) -> int:
    """Weights that learn, by PEFT's factors. Raises HextuneError for layers the model lacks."""
    return adapter_weights(_config(values, model), model)


def start(values: Mapping[str, Json], model: ModelHandle) -> Start:
    """One factor starts at zero."""
    return Start(over_packed=False)


def prepare(values: Mapping[str, Json], model: ModelHandle, network: Any) -> Tuned:
    """`network` with a fresh adapter attached; only the adapter requires gradients."""
    from peft import get_peft_model

    config = _config(values, model)
    return Tuned(get_peft_model(network, config, autocast_adapter_dtype=False))


def _config(values: Mapping[str, Json], model: ModelHandle) -> Any:
    from peft import LoKrConfig

    options = options_of(Options, values)
    return LoKrConfig(
        r=options.rank,
        alpha=options.alpha if options.alpha is not None else options.rank,
        target_modules=peft_targets(options.targets, model),
        task_type="CAUSAL_LM",
    )
