"""Rules between sections of a spec: a table every door and the documentation read.

A rule is an id (a code in `domain.error_texts`), the field it points at, and a predicate that
returns the facts of a breach, or None where the rule holds or cannot be judged yet.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from domain.budget import MemoryEstimate, remedies, shown_bytes
from domain.dataset import DatasetKind
from domain.errors import Place, Problem, problem
from domain.hardware import Hardware
from domain.model_handle import ModelHandle
from domain.precision import PrecisionPolicy, choose_precision
from domain.prepared import PreparedData
from domain.run_plan import TrainerFacts
from domain.run_spec import RunSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleContext:
    """What is known when rules are judged; parts that could not be read are None."""

    spec: RunSpec
    hardware: Hardware
    model: ModelHandle | None = None
    trainer: TrainerFacts | None = None
    data: PreparedData | None = None
    memory: MemoryEstimate | None = None

    @property
    def precision(self) -> PrecisionPolicy:
        """The policy the spec leads to on this hardware."""
        return choose_precision(self.spec.precision, self.hardware)


Facts = Mapping[str, object]

LOSING_RATE = 1e-4
"""Learning rates below this change 16-bit weights by less than their rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of compatibility."""

    id: str
    """Code of its texts."""
    field: str
    """Dotted path it points at."""
    breach: Callable[[RuleContext], Facts | None]
    """Facts of a breach, or None."""
    warns: bool = False
    """Whether a breach deserves a look but stops nothing."""


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


def _quantized_needs_adapter(c: RuleContext) -> Facts | None:
    if c.spec.quantization is None or c.trainer is None:
        return None
    fits = c.trainer.adapter_based and c.trainer.over_packed
    return None if fits else {"method": c.spec.method.name}


def _quantized_base(c: RuleContext) -> Facts | None:
    if c.spec.quantization is None or c.trainer is None or not c.trainer.changes_base:
        return None
    if not c.trainer.adapter_based:
        return None  # refused for that already
    return {"method": c.spec.method.name, "quantizer": c.spec.quantization.name}


def _optimizer_whole_weights(c: RuleContext) -> Facts | None:
    if c.trainer is None or "whole_weights" not in c.trainer.optimizer_needs:
        return None
    wrong = c.trainer.adapter_based
    return {"optimizer": c.spec.optimizer.name, "method": c.spec.method.name} if wrong else None


def _optimizer_constant_rate(c: RuleContext) -> Facts | None:
    if c.trainer is None or "constant_rate" not in c.trainer.optimizer_needs:
        return None
    scheduler = c.spec.schedule.scheduler
    wrong = scheduler != "constant"
    return {"optimizer": c.spec.optimizer.name, "scheduler": scheduler} if wrong else None


def _quantized_full_precision(c: RuleContext) -> Facts | None:
    if c.spec.quantization is None or c.precision.compute != "float32":
        return None
    return {"quantizer": c.spec.quantization.name}


def _too_long_for_model(c: RuleContext) -> Facts | None:
    asked = c.spec.data.max_tokens
    if c.model is None or asked is None or asked <= c.model.context_tokens:
        return None
    return {"asked": asked, "context": c.model.context_tokens}


def _no_chat_template(c: RuleContext) -> Facts | None:
    if c.model is None or c.model.has_chat_template:
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
    Rule(id="rule-quantized-needs-adapter", field="method.name", breach=_quantized_needs_adapter),
    Rule(id="rule-quantized-base", field="method.name", breach=_quantized_base),
    Rule(
        id="rule-optimizer-whole-weights", field="optimizer.name", breach=_optimizer_whole_weights
    ),
    Rule(
        id="rule-optimizer-constant-rate",
        field="schedule.scheduler",
        breach=_optimizer_constant_rate,
    ),
    Rule(
        id="rule-quantized-full-precision", field="precision.mode", breach=_quantized_full_precision
    ),
    Rule(id="rule-too-long-for-model", field="data.max_tokens", breach=_too_long_for_model),
    Rule(id="rule-no-chat-template", field="model.name", breach=_no_chat_template),
    Rule(id="rule-media-packing", field="batching.packing", breach=_media_packing),
    Rule(id="rule-too-few-rows", field="data.train", breach=_too_few_rows),
    Rule(id="rule-does-not-fit", field="batching.per_device", breach=_does_not_fit),
    Rule(id="rule-tight-memory", field="batching.per_device", breach=_tight, warns=True),
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
