"""Rules of training in several processes: what is refused, and what was not proved to be right.

A combination is let through when a test has compared it with one process; see `domain.rules`.
"""

from collections.abc import Sequence

from domain.deepspeed_config import contradictions, required
from domain.hardware import DeviceKind
from domain.parallelism import Parallelism, choose_parallelism
from domain.rule_context import Facts, Rule, RuleContext
from domain.run_plan import ReferenceKind

STAGES = ("sft", "pretrain", "dpo", "orpo", "simpo", "cpo")
"""Stages whose loss is a mean over tokens or rows, which ranks can share out exactly."""
SHARDING_METHODS = ("lora", "full", "freeze")
"""Methods whose weights are used only by the module that holds them, as it computes."""
LONE_METHODS = ("adalora",)
"""Methods that decide by gradients of their own process."""
ELEMENTWISE = ("adamw", "lion")
"""Optimizers that step each number by itself, so that a part of a tensor steps as the whole."""
ALIKE = (*ELEMENTWISE, "adafactor", "muon", "schedule_free", "adamw_8bit")
"""Optimizers that step alike in every process, given the same gradients."""

PRECISIONS = {
    "single": ("full", "mixed", "half"),
    "ddp": ("full", "mixed", "half"),
    "fsdp2": ("full",),
    "deepspeed": ("full",),
}
"""Modes of precision in which a strategy keeps the number formats the plan promises."""


def _chosen(c: RuleContext) -> Parallelism:
    return choose_parallelism(c.spec.parallelism, c.hardware)


def _unused(c: RuleContext) -> Facts | None:
    asked = c.spec.parallelism
    deepspeed = {
        "zero": asked.zero is not None,
        "offload": asked.offload != "none",
        "config": asked.config is not None,
    }
    idle = asked.strategy != "deepspeed"
    needless = [key for key, is_set in deepspeed.items() if is_set and idle]
    if asked.strategy == "single" and (asked.processes or 1) > 1:
        needless.insert(0, "processes")
    keys = ", ".join(f"parallelism.{key}" for key in needless)
    return {"keys": keys, "strategy": asked.strategy} if needless else None


def _devices(c: RuleContext) -> Facts | None:
    processes, count = _chosen(c).processes, c.hardware.count
    if c.hardware.kind is DeviceKind.CPU or processes <= count:
        return None  # processes on a CPU share its cores
    return {"processes": processes, "count": count, "device": c.hardware.name}


def _alone(c: RuleContext) -> Facts | None:
    chosen = _chosen(c)
    wrong = chosen.strategy in ("ddp", "fsdp2") and chosen.processes == 1
    return {"strategy": chosen.name, "reason": chosen.reason} if wrong else None


def _offload(c: RuleContext) -> Facts | None:
    chosen = _chosen(c)
    wrong = c.spec.parallelism.offload == "all" and chosen.zero in (1, 2)
    return {"zero": chosen.zero} if wrong else None


def _stage(c: RuleContext) -> Facts | None:
    if _chosen(c).strategy == "single" or c.spec.stage.name in STAGES:
        return None
    return {"stage": c.spec.stage.name, "fits": ", ".join(STAGES)}


def _method(c: RuleContext) -> Facts | None:
    chosen, name = _chosen(c), c.spec.method.name
    if chosen.strategy == "single" or c.trainer is None:
        return None
    starts = c.trainer.start_tokens > 0
    wrong = name in LONE_METHODS or starts
    fits = f"all others than {', '.join(LONE_METHODS)}, where their start looks at no rows"
    if chosen.shards_weights:
        reads_whole = c.trainer.changes_base or c.trainer.needs_packed or c.trainer.reads_packed
        odd = reads_whole or starts or bool(c.spec.method.options.get("extra"))
        wrong = name not in SHARDING_METHODS or odd
        fits = "full, freeze, and lora with init zero, gaussian or orthogonal, no dora and no extra"
    return {"method": name, "strategy": chosen.name, "fits": fits} if wrong else None


def _optimizer(c: RuleContext) -> Facts | None:
    chosen, name = _chosen(c), c.spec.optimizer.name
    fits = ELEMENTWISE if chosen.shards_states else ALIKE
    if chosen.strategy == "single" or name in fits:
        return None
    return {"optimizer": name, "strategy": chosen.name, "fits": ", ".join(fits)}


def _precision(c: RuleContext) -> Facts | None:
    chosen, policy = _chosen(c), c.precision
    fits = PRECISIONS[chosen.strategy]
    loses = policy.compute == "float16"
    if chosen.strategy == "single" or (policy.mode in fits and not loses):
        return None
    shown = " or ".join(fits)
    facts = {"strategy": chosen.name, "mode": policy.mode, "dtype": policy.compute}
    return {**facts, "fits": shown}


def _reference(c: RuleContext) -> Facts | None:
    chosen = _chosen(c)
    copies = c.trainer is not None and c.trainer.reference is ReferenceKind.COPY
    return {"strategy": chosen.name} if chosen.shards_weights and copies else None


def _unproved(c: RuleContext) -> Facts | None:
    chosen, spec = _chosen(c), c.spec
    shards = chosen.shards_weights
    media = c.model is not None and bool(c.model.media)
    chooses = ("aot", "aot_unpaired")  # losses over quantiles of a pass, which ranks have apart
    used = {
        "data.streaming": spec.data.streaming,
        "batching.group_by_length": spec.batching.group_by_length,
        "a model of images, videos or audio": media,
        "a mixture of experts": c.model is not None and c.model.experts > 0,
        "model.kernels": spec.model.kernels != "none",
        "tracking.samples": spec.tracking.samples is not None,
        "stage.loss": spec.stage.options.get("loss") in chooses,
        "packed weights": c.packer is not None and chosen.strategy != "ddp",
        "output.keep_best": shards and spec.output.keep_best,
        "precision.fp8": spec.precision.fp8,
        "precision.upcast_norms": shards and spec.precision.upcast_norms,
        "model.new_tokens": shards and bool(spec.model.new_tokens),
        "model.neftune_alpha": shards and spec.model.neftune_alpha is not None,
        "model.gradient_checkpointing": shards and spec.model.gradient_checkpointing,
    }
    keys = [key for key, is_used in used.items() if is_used]
    if chosen.strategy == "single" or not keys:
        return None
    return {"keys": ", ".join(keys), "strategy": chosen.name}


def _config(c: RuleContext) -> Facts | None:
    if c.trainer is None or c.trainer.parallel_config is None:
        return None
    wanted = required(c.spec, _chosen(c).processes, c.precision.mode)
    found = [
        f"{field} is {theirs}, not {ours}" if ours is not None else f"{field} is the spec's"
        for field, theirs, ours in contradictions(c.trainer.parallel_config, wanted)
    ]
    return {"fields": "; ".join(found)} if found else None


PARALLEL_RULES: Sequence[Rule] = (
    Rule(id="rule-parallel-unused", field="parallelism.strategy", breach=_unused),
    Rule(id="rule-parallel-devices", field="parallelism.processes", breach=_devices),
    Rule(id="rule-parallel-alone", field="parallelism.processes", breach=_alone),
    Rule(id="rule-parallel-offload", field="parallelism.offload", breach=_offload),
    Rule(id="rule-parallel-stage", field="stage.name", breach=_stage),
    Rule(id="rule-parallel-method", field="method.name", breach=_method),
    Rule(id="rule-parallel-optimizer", field="optimizer.name", breach=_optimizer),
    Rule(id="rule-parallel-precision", field="precision.mode", breach=_precision),
    Rule(id="rule-parallel-reference", field="parallelism.strategy", breach=_reference),
    Rule(id="rule-parallel-unproved", field="parallelism.strategy", breach=_unproved),
    Rule(id="rule-parallel-config", field="parallelism.config", breach=_config),
)
