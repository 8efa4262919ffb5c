"""AdaLoRA: ranks move between layers while training, to where they matter (Zhang et al. 2023).

For a layer of shape (out, in): W x + (alpha / r) * B diag(E) A x, with A of shape (r, in), B of
shape (out, r) and E of length r starting at zero. A and B are pulled towards orthogonality, and
the least important entries of E over all layers are set to zero, step by step. The result is saved
as a plain LoRA.
"""

from collections.abc import Mapping
from functools import partial
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
    """Options of method adalora."""

    rank: int = limited(8, ge=1)
    """Mean rank that layers have in the end."""
    start_rank: int = limited(12, ge=2)
    """Rank r that every layer starts with; larger than the mean rank in the end."""
    alpha: float | None = limited(None, gt=0)
    """Scale: the update is multiplied by alpha / start_rank; twice the start rank where not set."""
    dropout: float = limited(0.0, ge=0, lt=1)
    """Share of the adapter's inputs zeroed while training."""
    targets: Targets = "all_linear"
    """Layers that get an adapter: all_linear, names such as [q_proj, v_proj], or patterns of whole
    paths."""
    warmup: float = limited(0.1, ge=0, lt=0.5)
    """Share of the steps before any rank is taken away."""
    final: float = limited(0.3, ge=0, le=0.5)
    """Share of the steps after the last rank is taken away."""
    orthogonality: float = limited(0.1, ge=0)
    """Weight of the pull towards orthogonal A and B."""


def trainable(values: Mapping[str, Json], model: ModelHandle) -> int:
    """Weights that learn: r * (in + out + 1) for each layer.

    Raises HextuneError for layers the model lacks and ranks that leave nothing to take away.
    """
    options = options_of(Options, values)
    if options.start_rank <= options.rank:
        place = Place(field="method.start_rank")
        raise fail("rule-start-rank", place, rank=options.rank, start=options.start_rank)
    groups = target_groups(options.targets, model)
    return sum(options.start_rank * (g.inputs + g.outputs + 1) * g.count for g in groups)


def start(values: Mapping[str, Json], model: ModelHandle) -> Start:
    """E starts at zero."""
    return Start()


def prepare(values: Mapping[str, Json], model: ModelHandle, network: Any) -> Tuned:
    """`network` with a fresh adapter attached; only the adapter requires gradients."""
    from peft import AdaLoraConfig, get_peft_model

    from adapters.models.rank_allocation import RankAllocation, save_as_lora

    options = options_of(Options, values)
    config = AdaLoraConfig(
        init_r=options.start_rank,
        target_r=options.rank,
        total_step=1,  # the run's steps are known when it begins
        lora_alpha=options.alpha if options.alpha is not None else 2 * options.start_rank,
        lora_dropout=options.dropout,
        orth_reg_weight=0.0,  # the callback adds it
        target_modules=peft_targets(options.targets, model),
        task_type="CAUSAL_LM",
    )
    tuned = get_peft_model(network, config, autocast_adapter_dtype=False)
    for name, weight in tuned.named_parameters():
        if ".ranknum." in name:
            weight.requires_grad_(False)  # a constant, which PEFT's move to 16 bits lets learn
    allocation = RankAllocation(
        tuned,
        warmup=options.warmup,
        final=options.final,
        orthogonality=options.orthogonality,
    )
    return Tuned(tuned, save=partial(save_as_lora, tuned), callbacks=[allocation])
