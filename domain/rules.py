"""Rules between sections of a spec: a table every door and the documentation read.

A rule is an id (a code in `domain.error_texts`), the field it points at, and a predicate that
returns the facts of a breach, or None where the rule holds or cannot be judged yet.
"""

from collections.abc import Callable, Sequence

from domain.attention import KERNELS, obstacle
from domain.budget import remedies, shown_bytes
from domain.dataset import DatasetKind
from domain.errors import Place, Problem, problem
from domain.float8 import FLOAT8_RULE
from domain.initial_rules import INITIAL_RULES
from domain.optimizer_rules import OPTIMIZER_RULES
from domain.parallel_rules import PARALLEL_RULES
from domain.rl_rules import RL_RULES
from domain.rule_context import Facts, Rule, RuleContext
from domain.run_spec import RunSpec
from domain.tracking_rules import TRACKING_RULES
from domain.training_rules import TRAINING_RULES

UNREAD = ("aqlm", "awq", "eetq", "gptq")
"""Quantizers whose weights PEFT multiplies by, and never reads."""
LOSING_RATE = 1e-4
"""Learning rates below this change 16-bit weights by less than their rounding."""


def _both(first: object, second: object) -> Facts | None:
    return {} if first is not None and second is not None else None


def _one_holdout(c: RuleContext) -> Facts | None:
    return {} if c.spec.data.eval and c.spec.data.eval_fraction is not None else None


def _unending(c: RuleContext) -> Facts | None:
    return {} if c.spec.data.streaming and c.spec.schedule.max_steps is None else None


def _stream_holdout(c: RuleContext) -> Facts | None:
    return {} if c.spec.data.streaming and c.spec.data.eval_fraction is not None else None


def _stream_length(c: RuleContext) -> Facts | None:
    return {} if c.spec.data.streaming and c.spec.batching.group_by_length else None


def _stream_sample(c: RuleContext) -> Facts | None:
    drawn = [s.name for s in c.spec.data.train if s.num_samples and s.sample == "random"]
    return {"source": drawn[0]} if c.spec.data.streaming and drawn else None


def _answers_apart(c: RuleContext) -> Facts | None:
    judges = c.trainer is not None and c.trainer.eats in (
        DatasetKind.PREFERENCE,
        DatasetKind.FEEDBACK,
        DatasetKind.PROMPT,
    )
    joined = c.spec.batching.packing or c.spec.batching.group_by_length
    return {"stage": c.spec.stage.name} if judges and joined else None


def _eval_needs_data(c: RuleContext) -> Facts | None:
    has_rows = bool(c.spec.data.eval) or c.spec.data.eval_fraction is not None
    return {} if c.spec.tracking.eval_every_steps is not None and not has_rows else None


def _full_precision_dtype(c: RuleContext) -> Facts | None:
    asked = c.spec.precision
    wrong = asked.mode == "full" and asked.dtype not in ("auto", "float32")
    return {"dtype": asked.dtype} if wrong else None


def _half_needs_16_bit(c: RuleContext) -> Facts | None:
    asked = c.spec.precision
    wrong = asked.mode in ("half", "mixed") and asked.dtype == "float32"
    return {"mode": asked.mode} if wrong else None


def _dtype_unsupported(c: RuleContext) -> Facts | None:
    dtype = c.precision.compute
    if dtype in c.hardware.dtypes:
        return None
    can = " or ".join(c.hardware.dtypes)
    return {"device": c.hardware.name, "dtype": dtype, "advice": f"it computes in {can}"}


def _attention_unavailable(c: RuleContext) -> Facts | None:
    able = c.model.attention if c.model else KERNELS
    why = obstacle(c.spec.model.attention, c.hardware, c.versions, c.precision.compute, able)
    return {"name": c.spec.model.attention, "reason": why[0], "advice": why[1]} if why else None


def _packed_otherwise(c: RuleContext) -> Facts | None:
    asked = c.spec.quantization
    if c.model is None or c.model.packed is None or asked is None:
        return None
    agree = asked.name == c.model.packed.by and not asked.options
    return None if agree else {"model": c.model.name, "by": c.model.packed.by, "asked": asked.name}


def _packed_unknown(c: RuleContext) -> Facts | None:
    if c.model is None or c.model.packed is None or c.model.packed.bytes_per_weight is not None:
        return None
    return {"model": c.model.name, "by": c.model.packed.by}


def _quantized_needs_adapter(c: RuleContext) -> Facts | None:
    if c.packer is None or c.trainer is None:
        return None
    fits = c.trainer.adapter_based and c.trainer.over_packed
    return None if fits else {"method": c.spec.method.name}


def _quantized_base(c: RuleContext) -> Facts | None:
    if c.packer is None or c.trainer is None or not c.trainer.changes_base:
        return None
    if not c.trainer.adapter_based:
        return None  # refused for that already
    return {"method": c.spec.method.name, "quantizer": c.packer}


def _packed_dora(c: RuleContext) -> Facts | None:
    if c.trainer is None or not c.trainer.reads_packed or c.packer not in UNREAD:
        return None
    return {"quantizer": c.packer}


def _packed_needed(c: RuleContext) -> Facts | None:
    if c.trainer is None or not c.trainer.needs_packed or c.packer is not None:
        return None
    return {"method": c.spec.method.name}


def _packed_adapters(c: RuleContext) -> Facts | None:
    """What is merged goes into whole weights only; an adapter that learns on may lie over both."""
    if c.packer is None or c.trainer is None or c.model is None:
        return None
    merged = len(c.model.adapters) - (1 if c.trainer.continues else 0)
    return {"quantizer": c.packer} if merged > 0 else None


def _start_tokens(c: RuleContext) -> Facts | None:
    if c.trainer is None or c.data is None or c.data.trained_tokens >= c.trainer.start_tokens:
        return None
    return {"needed": c.trainer.start_tokens, "tokens": c.data.trained_tokens}


def _foreign_adapters(c: RuleContext) -> Facts | None:
    if c.trainer is None or not c.trainer.foreign_adapters:
        return None
    return {"adapters": ", ".join(c.trainer.foreign_adapters), "model": c.spec.model.name}


def _quantized_full_precision(c: RuleContext) -> Facts | None:
    if c.packer is None or c.precision.compute != "float32":
        return None
    return {"quantizer": c.packer}


def _too_long_for_model(c: RuleContext) -> Facts | None:
    asked = c.spec.data.max_tokens
    if c.model is None or asked is None or asked <= c.model.context_tokens:
        return None
    return {"asked": asked, "context": c.model.context_tokens}


def _no_chat_template(c: RuleContext) -> Facts | None:
    reads_text = c.trainer is not None and c.trainer.eats is DatasetKind.TEXT
    if c.model is None or c.model.has_chat_template or reads_text:
        return None
    return {"model": c.model.name}


def _too_few_rows(c: RuleContext) -> Facts | None:
    if c.data is None or c.data.train:
        return None
    return {"rows": len(c.data.train), "dropped": len(c.data.too_long)}


def _media_packing(c: RuleContext) -> Facts | None:
    if c.data is None or c.data.packs is None:
        return None
    rows = (*c.data.train, *c.data.eval)
    return {} if any(row.media is not None for row in rows) else None


def _does_not_fit(c: RuleContext) -> Facts | None:
    if c.memory is None or c.memory.total <= c.hardware.memory_bytes:
        return None
    return {
        "needed": shown_bytes(c.memory.total),
        "device": c.hardware.name,
        "available": shown_bytes(c.hardware.memory_bytes),
        "remedies": remedies_for(c.spec, c.data.longest if c.data else 0),
    }


def _tight(c: RuleContext) -> Facts | None:
    """Fits the device, but not what is free on it now."""
    if c.memory is None or not c.hardware.free_bytes < c.memory.total <= c.hardware.memory_bytes:
        return None
    return {
        "needed": shown_bytes(c.memory.total),
        "free": shown_bytes(c.hardware.free_bytes),
        "device": c.hardware.name,
    }


def _lost_updates(c: RuleContext) -> Facts | None:
    """Small updates vanish in bfloat16's 8 bits: seen at 1e-5, where float32 learned."""
    rate = c.spec.optimizer.options.get("learning_rate")
    trains_all = c.trainer is not None and not c.trainer.adapter_based
    small = isinstance(rate, float) and rate < LOSING_RATE
    if not (c.precision.mode == "half" and trains_all and small):
        return None
    return {"rate": f"{rate:g}", "dtype": c.precision.trainable}


def remedies_for(spec: RunSpec, longest_tokens: int) -> str:
    """The cheapest ways for this spec to need less memory, given its longest row."""
    return remedies(
        per_device=spec.batching.per_device,
        checkpointing=spec.model.gradient_checkpointing,
        quantized=spec.quantization is not None,
        max_tokens=longest_tokens,
    )


RULES: Sequence[Rule] = (
    Rule(
        id="rule-one-length",
        field="schedule.max_steps",
        breach=lambda c: _both(c.spec.schedule.epochs, c.spec.schedule.max_steps),
    ),
    Rule(
        id="rule-one-warmup",
        field="schedule.warmup_steps",
        breach=lambda c: _both(c.spec.schedule.warmup_ratio, c.spec.schedule.warmup_steps),
    ),
    Rule(id="rule-one-holdout", field="data.eval_fraction", breach=_one_holdout),
    Rule(id="rule-stream-needs-steps", field="schedule.max_steps", breach=_unending),
    Rule(id="rule-stream-holdout", field="data.eval_fraction", breach=_stream_holdout),
    Rule(id="rule-stream-length", field="batching.group_by_length", breach=_stream_length),
    Rule(id="rule-stream-sample", field="data.train", breach=_stream_sample),
    Rule(id="rule-answers-apart", field="batching.packing", breach=_answers_apart),
    Rule(id="rule-eval-needs-data", field="tracking.eval_every_steps", breach=_eval_needs_data),
    Rule(id="rule-full-precision-dtype", field="precision.dtype", breach=_full_precision_dtype),
    Rule(id="rule-half-needs-16-bit", field="precision.dtype", breach=_half_needs_16_bit),
    Rule(id="rule-dtype-unsupported", field="precision.dtype", breach=_dtype_unsupported),
    Rule(id="rule-attention-unavailable", field="model.attention", breach=_attention_unavailable),
    FLOAT8_RULE,
    Rule(id="rule-packed-otherwise", field="model.name", breach=_packed_otherwise),
    Rule(id="rule-packed-unknown", field="model.name", breach=_packed_unknown),
    Rule(id="rule-quantized-needs-adapter", field="method.name", breach=_quantized_needs_adapter),
    Rule(id="rule-quantized-base", field="method.name", breach=_quantized_base),
    Rule(id="rule-packed-dora", field="method.name", breach=_packed_dora),
    Rule(id="rule-packed-needed", field="method.name", breach=_packed_needed),
    Rule(id="rule-packed-adapters", field="model.adapters", breach=_packed_adapters),
    Rule(id="rule-start-tokens", field="method.name", breach=_start_tokens),
    *OPTIMIZER_RULES,
    Rule(
        id="rule-quantized-full-precision", field="precision.mode", breach=_quantized_full_precision
    ),
    *INITIAL_RULES,
    *TRAINING_RULES,
    *TRACKING_RULES,
    *RL_RULES,
    *PARALLEL_RULES,
    Rule(id="rule-too-long-for-model", field="data.max_tokens", breach=_too_long_for_model),
    Rule(id="rule-no-chat-template", field="model.name", breach=_no_chat_template),
    Rule(id="rule-media-packing", field="batching.packing", breach=_media_packing),
    Rule(id="rule-too-few-rows", field="data.train", breach=_too_few_rows),
    Rule(id="rule-does-not-fit", field="batching.per_device", breach=_does_not_fit),
    Rule(id="rule-tight-memory", field="batching.per_device", breach=_tight, warns=True),
    Rule(id="rule-foreign-adapters", field="model.adapters", breach=_foreign_adapters, warns=True),
    Rule(id="rule-lost-updates", field="precision.mode", breach=_lost_updates, warns=True),
)


def broken_rules(
    context: RuleContext,
    place: Callable[[str], Place] = lambda field: Place(field=field),
    *,
    warnings: bool = False,
) -> list[Problem]:
    """Every rule that is broken, in the table's order; `place` finds a field's file and line.

    With `warnings`, the rules that only warn, instead of those that refuse.
    """
    breaches = ((rule, rule.breach(context)) for rule in RULES if rule.warns is warnings)
    return [
        problem(rule.id, place(rule.field), **facts)
        for rule, facts in breaches
        if facts is not None
    ]
