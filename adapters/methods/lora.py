"""LoRA: trainable low-rank matrices beside frozen weights (Hu et al. 2022), and its variants.

Attached to every linear layer of the decoder unless told otherwise, as Dettmers et al. 2023
suggest (LLaMA-Factory paper, section 4.1). For a layer of shape (out, in) and rank r:
W x + (alpha / r) * B A x, with A of shape (r, in) and B of shape (out, r), B starting at zero.

Variants: rsLoRA scales by alpha / sqrt(r) (Kalajdzievski 2023); DoRA learns the length of each
row of W + BA apart (Liu et al. 2024); LoRA+ lets B learn faster than A (Hayou et al. 2024).
Starts: PiSSA takes A and B from the largest singular values of W and leaves the rest in the base
(Meng et al. 2024), OLoRA from W's QR decomposition (Buyukakyuz 2024), LoftQ from what packing W
lost (Li et al. 2023), EVA from the directions in which the inputs vary (Paischer et al. 2024).
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal

from adapters.methods import Start, Tuned
from adapters.models.lora_start import (
    EVA_TOKENS_PER_RANK,
    converting_save,
    start_from_inputs,
    start_from_packing_error,
)
from adapters.models.skeleton import count_weights, extra_paths
from adapters.models.targets import Targets, peft_targets, target_groups
from domain.errors import Place, fail
from domain.fingerprint import Json
from domain.model_handle import LinearLayers, ModelHandle
from domain.section import limited, options_of, section

ADAPTER_BASED = True
ADDS_WEIGHTS = True

TAKING = frozenset({"pissa", "pissa_fast", "olora"})
"""Ways to start that take something out of the base weights."""
SHIFTED = TAKING | {"loftq"}
"""Ways to start with an update that is not zero; it is taken off again when the result is saved."""
DECOMPOSING = SHIFTED | {"eva"}
"""Ways to start that give as many directions as a matrix has, and no more."""


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
    """Layers that get an adapter: all_linear, names such as [q_proj, v_proj], or patterns of whole
    paths such as ["*.self_attn.*"]."""
    only_layers: tuple[int, ...] = ()
    """Adapt only these decoder layers, counted from 0; all where not set."""
    extra: tuple[str, ...] = ()
    """Parts that learn whole and are saved with the adapter, such as [embed_tokens, lm_head]."""
    rslora: bool = False
    """Multiply by alpha / sqrt(rank), which keeps large ranks learning."""
    dora: bool = False
    """Learn length and direction of each weight row apart: closer to full training, slower."""
    plus_ratio: float | None = limited(None, ge=1)
    """LoRA+: how much faster B learns than A, such as 16; the same where not set."""
    init: Literal[
        "zero", "gaussian", "orthogonal", "pissa", "pissa_fast", "olora", "loftq", "eva"
    ] = "zero"
    """How A and B start. With zero, gaussian and orthogonal the model starts unchanged and so does
    its base; so it does with eva, which looks at the rows. pissa (exact, or fast by random
    iterations) and olora start from the weights, loftq from what quantization lost; the result is
    saved as a plain LoRA of twice the rank over the untouched base."""
    pissa_iterations: int = limited(16, ge=1)
    """pissa_fast: random iterations; more come closer to the exact decomposition."""


def trainable(values: Mapping[str, Json], model: ModelHandle) -> int:
    """Weights that learn: r * (in + out) for each adapted layer, with DoRA `out` more, and extras.

    Raises HextuneError for layers the model lacks and options that exclude each other.
    """
    options = options_of(Options, values)
    groups = target_groups(options.targets, model, options.only_layers)
    _check_fused(groups, model)
    _check_start(options, groups)
    lengths = sum(group.outputs * group.count for group in groups) if options.dora else 0
    matrices = sum(options.rank * (g.inputs + g.outputs) * g.count for g in groups)
    extras = count_weights(extra_paths(options.extra, model), model) if options.extra else 0
    return matrices + lengths + extras


def start(values: Mapping[str, Json], model: ModelHandle) -> Start:
    """As `init` says."""
    options = options_of(Options, values)
    return Start(
        changes_base=options.init in TAKING,
        needs_packed=options.init == "loftq",
        reads_packed=options.dora,
        tokens=EVA_TOKENS_PER_RANK * options.rank if options.init == "eva" else 0,
    )


def prepare(values: Mapping[str, Json], model: ModelHandle, network: Any) -> Tuned:
    """`network` with a fresh adapter attached; only the adapter and extra parts learn."""
    from peft import EvaConfig, LoraConfig, get_peft_model

    options = options_of(Options, values)
    alpha = options.alpha if options.alpha is not None else 2 * options.rank
    config = LoraConfig(
        r=options.rank,
        lora_alpha=alpha,
        lora_dropout=options.dropout,
        use_rslora=options.rslora,
        use_dora=options.dora,
        init_lora_weights=_peft_init(options),
        eva_config=EvaConfig(rho=1.0) if options.init == "eva" else None,
        target_modules=peft_targets(options.targets, model, options.only_layers),
        modules_to_save=extra_paths(options.extra, model) if options.extra else None,
        ensure_weight_tying=bool(options.extra),
        task_type="CAUSAL_LM",
    )
    tuned = get_peft_model(network, config, autocast_adapter_dtype=False)
    if options.init == "loftq":
        start_from_packing_error(tuned, model)
    ratio = options.plus_ratio or 1.0

    def rate(name: str) -> float:
        return ratio if "lora_B" in name else 1.0

    return Tuned(
        tuned,
        rate,
        save=converting_save(tuned) if options.init in SHIFTED else None,
        begin=partial(start_from_inputs, tuned, options.rank) if options.init == "eva" else None,
    )


def _peft_init(options: Options) -> bool | str:
    """PEFT's name of a way to start."""
    if options.init == "pissa_fast":
        return f"pissa_niter_{options.pissa_iterations}"
    return True if options.init in ("zero", "loftq") else options.init


def _check_fused(groups: Sequence[LinearLayers], model: ModelHandle) -> None:
    """Raises HextuneError for layers whose adapters PEFT would put elsewhere."""
    taken = {group.name for group in model.linear if group.fused}
    wrong = sorted(taken & {group.name for group in groups})
    if wrong:
        place = Place(field="method.targets")
        raise fail("rule-lora-fused", place, names=", ".join(wrong), family=model.family)


def _check_start(options: Options, groups: Sequence[LinearLayers]) -> None:
    """Raises HextuneError where `init` fits neither the rank nor another option."""
    place = Place(field="method.init")
    if options.dora and options.init in SHIFTED:
        raise fail("rule-init-variant", place, init=options.init, variant="dora")
    if options.extra and options.init in SHIFTED:
        raise fail("rule-init-variant", place, init=options.init, variant="extra")
    if options.init == "orthogonal" and options.rank % 2:
        raise fail("rule-odd-rank", Place(field="method.rank"), rank=options.rank)
    smallest = min((min(g.inputs, g.outputs) for g in groups), default=options.rank)
    if options.init in DECOMPOSING and options.rank > smallest:
        place = Place(field="method.rank")
        raise fail("rule-init-rank", place, init=options.init, rank=options.rank, most=smallest)
