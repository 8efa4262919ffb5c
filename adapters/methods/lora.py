"""LoRA: trainable low-rank matrices beside frozen weights (Hu et al. 2022).

Attached to every linear layer of the decoder unless told otherwise, as Dettmers et al. 2023
suggest (LLaMA-Factory paper, section 4.1). For a layer of shape (out, in) and rank r:
W x + (alpha / r) * B A x, with A of shape (r, in) and B of shape (out, r), B starting at zero.
"""

from collections.abc import Mapping
from typing import Any, Literal

from domain.errors import Place, fail
from domain.fingerprint import Json
from domain.model_handle import ModelHandle
from domain.section import limited, section

ADAPTER_BASED = True

Targets = Literal["all_linear"] | tuple[str, ...]


@section
class Options:
    """Options of method lora."""

    rank: int = limited(8, ge=1)
    """Inner dimension r of the two matrices."""
    alpha: float | None = limited(None, gt=0)
    """Scale: the update is multiplied by alpha / rank; twice the rank where not set."""
    dropout: float = limited(0.0, ge=0, lt=1)
    """Share of the adapter's inputs zeroed while training."""
    targets: Targets = "all_linear"
    """Layers that get an adapter: all_linear, or names such as [q_proj, v_proj]."""


def targets(options: Options, model: ModelHandle) -> list[str]:
    """Names of the layers that get an adapter. Raises HextuneError for names the model lacks."""
    found = sorted({group.name for group in model.linear})
    if options.targets == "all_linear":
        return found
    lacking = [name for name in options.targets if name not in found]
    if lacking:
        raise fail(
            "rule-unknown-layers",
            Place(field="method.targets"),
            names=", ".join(lacking),
            model=model.name,
            known=", ".join(found),
        )
    return list(options.targets)


def trainable(values: Mapping[str, Json], model: ModelHandle) -> int:
    """Weights that learn: r * (in + out) for each adapted layer."""
    options = Options(**values)  # type: ignore[arg-type]
    chosen = set(targets(options, model))
    groups = [group for group in model.linear if group.name in chosen]
    return sum(options.rank * (g.inputs + g.outputs) * g.count for g in groups)


def prepare(values: Mapping[str, Json], model: ModelHandle, network: Any) -> Any:
    """`network` with a fresh adapter attached; only the adapter requires gradients."""
    from peft import LoraConfig, get_peft_model

    options = Options(**values)  # type: ignore[arg-type]
    config = LoraConfig(
        r=options.rank,
        lora_alpha=options.alpha if options.alpha is not None else 2 * options.rank,
        lora_dropout=options.dropout,
        target_modules=targets(options, model),
        task_type="CAUSAL_LM",
    )
    return get_peft_model(network, config, autocast_adapter_dtype=False)
