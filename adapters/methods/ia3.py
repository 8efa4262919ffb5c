"""IA3: learned vectors scale what layers give or take (Liu et al. 2022).

For a layer of shape (out, in): l * (W x) with l of length out, or, for layers scaled at their
inputs, W (l * x) with l of length in; every l starts at one. The paper scales keys, values and the
inputs of the last layer of each MLP.
"""

from collections.abc import Mapping
from typing import Any

from adapters.methods import Start, Tuned
from adapters.models.targets import Targets, peft_targets, target_groups
from domain.fingerprint import Json
from domain.model_handle import ModelHandle
from domain.section import options_of, section

ADAPTER_BASED = True
ADDS_WEIGHTS = True


@section
class Options:
    """Options of method ia3."""

    targets: Targets = "all_linear"
    """Layers that are scaled: all_linear, names such as [k_proj, v_proj, down_proj], or patterns
    of whole paths."""
    at_inputs: tuple[str, ...] = ()
    """Names among them that are scaled at their inputs, such as [down_proj]."""


def trainable(values: Mapping[str, Json], model: ModelHandle) -> int:
    """Weights that learn: out, or in, for each layer. Raises HextuneError for layers lacking."""
    options = options_of(Options, values)
    groups = target_groups(options.targets, model)
    if options.at_inputs:
        target_groups(options.at_inputs, model)
    return sum((g.inputs if g.name in options.at_inputs else g.outputs) * g.count for g in groups)


def start(values: Mapping[str, Json], model: ModelHandle) -> Start:
    """Every vector starts at one."""
    return Start()


def prepare(values: Mapping[str, Json], model: ModelHandle, network: Any) -> Tuned:
    """`network` with fresh vectors attached; only they require gradients."""
    from peft import IA3Config, get_peft_model

    options = options_of(Options, values)
    config = IA3Config(
        target_modules=peft_targets(options.targets, model),
        feedforward_modules=list(options.at_inputs),
        task_type="CAUSAL_LM",
    )
    return Tuned(get_peft_model(network, config, autocast_adapter_dtype=False))
