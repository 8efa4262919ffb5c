"""OFT: layers learn a rotation of their inputs, in blocks (Qiu et al. 2023; Liu et al. 2024).

For a layer with `in` inputs and blocks of size b, in / b skew-symmetric matrices of b (b - 1) / 2
entries each learn, made orthogonal by the Cayley transform.
"""

from collections.abc import Mapping
from typing import Any

from adapters.methods import Start, Tuned
from adapters.models.targets import Targets, peft_targets, target_groups
from domain.errors import Place, fail
from domain.fingerprint import Json
from domain.model_handle import ModelHandle
from domain.section import limited, options_of, section

ADAPTER_BASED = True
ADDS_WEIGHTS = True


@section
class Options:
    """Options of method oft."""

    block_size: int = limited(32, ge=2)
    """Width b of a rotation block; it must divide the inputs of every adapted layer."""
    dropout: float = limited(0.0, ge=0, lt=1)
    """Share of the blocks left unrotated while training."""
    targets: Targets = "all_linear"
    """Layers that are rotated: all_linear, names such as [q_proj, v_proj], or patterns of whole
    paths."""


def trainable(values: Mapping[str, Json], model: ModelHandle) -> int:
    """Weights that learn: in * (b - 1) / 2 for each layer.

    Raises HextuneError for layers the model lacks and a block size that does not divide.
    """
    options = options_of(Options, values)
    size = options.block_size
    groups = target_groups(options.targets, model)
    odd = sorted({group.inputs for group in groups if group.inputs % size})
    if odd:
        place = Place(field="method.block_size")
        raise fail("rule-block-size", place, size=size, inputs=", ".join(map(str, odd)))
    return sum(g.inputs // size * (size * (size - 1) // 2) * g.count for g in groups)


def start(values: Mapping[str, Json], model: ModelHandle) -> Start:
    """A rotation starts as identity."""
    return Start()


def prepare(values: Mapping[str, Json], model: ModelHandle, network: Any) -> Tuned:
    """`network` with fresh rotations attached; only they require gradients."""
    from peft import OFTConfig, get_peft_model

    options = options_of(Options, values)
    config = OFTConfig(
        r=0,
        oft_block_size=options.block_size,
        module_dropout=options.dropout,
        target_modules=peft_targets(options.targets, model),
        task_type="CAUSAL_LM",
    )
    return Tuned(get_peft_model(network, config, autocast_adapter_dtype=False))
