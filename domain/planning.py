"""Planning: spec, model, data and hardware become a plan, or every broken rule at once."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from domain.attention import AttentionChoice
from domain.budget import MemoryEstimate, estimate_memory, shown_bytes
from domain.dataset import DatasetKind
from domain.errors import Problem
from domain.fingerprint import Json
from domain.hardware import DeviceKind, Hardware
from domain.kernels import KERNELS
from domain.model_handle import ModelHandle
from domain.parallelism import Parallelism, choose_parallelism, divided
from domain.precision import choose_precision
from domain.prepared import PreparedData
from domain.rope import RopeScaling, RopeSection
from domain.run_plan import Decision, Origin, ReferenceKind, RunPlan, TrainerFacts
from domain.run_spec import RunSpec
from domain.schedule import StepPlan, plan_steps
from domain.tracking_plan import tracking_decisions


def estimate(
    spec: RunSpec,
    hardware: Hardware,
    model: ModelHandle,
    trainer: TrainerFacts,
    quantized_bytes: float | None,
    longest_tokens: int,
) -> MemoryEstimate:
    """Memory of the largest batch this run can meet."""
    whole = estimate_memory(
        model,
        choose_precision(spec.precision, hardware),
        trainable=trainer.trainable,
        optimizer=trainer.optimizer_keeps,
        adds_weights=trainer.adds_weights,
        quantized_bytes_per_weight=quantized_bytes,
        rows=spec.batching.per_device * trainer.sequences_per_row,
        tokens=longest_tokens + trainer.answer_tokens,
        fused_attention=spec.model.attention != "eager" and "sdpa" in model.attention,
        checkpointing=spec.model.gradient_checkpointing,
        on_cpu=hardware.kind is DeviceKind.CPU,
        reference_copy=trainer.reference is ReferenceKind.COPY,
        tiled_loss=trainer.eats in (DatasetKind.TEXT, DatasetKind.CONVERSATION),
        beside=trainer.beside,
        writes=trainer.answer_tokens > 0,
    )
    return divided(whole, spec.parallelism, hardware)


def make_plan(
    *,
    spec: RunSpec,
    origins: Mapping[str, Origin],
    hardware: Hardware,
    model: ModelHandle,
    trainer: TrainerFacts,
    data: PreparedData,
    memory: MemoryEstimate,
    attention: AttentionChoice | None = None,
    warnings: Sequence[Problem] = (),
) -> RunPlan:
    """The plan of a spec that breaks no rule. `origins` names who set each dotted key."""
    precision = choose_precision(spec.precision, hardware)
    parallelism = choose_parallelism(spec.parallelism, hardware)
    steps = plan_steps(
        spec.schedule,
        spec.batching,
        train_rows=data.sequences,
        eval_rows=len(data.eval),
        epoch_tokens=data.train_tokens,
        epoch_trained_tokens=data.trained_tokens,
        processes=parallelism.processes,
    )
    if data.stream is not None:
        steps = replace(steps, train_rows=0, steps_per_epoch=0, epochs=0.0)
    decisions = list(_spec_decisions(spec.as_json(), origins))
    if attention is not None and spec.model.kernels != "unsloth":
        decisions.append(_derived("attention", attention.name, attention.reason))
    decisions += [
        _derived("device", hardware.name, f"the first {hardware.kind.value} device"),
        _derived("precision", _dtype_line(precision.mode, precision.compute), precision.reason),
        *_upcast_decisions(spec, precision.compute, trainer),
        _derived("template", data.template_fingerprint[:12], model.template_reason),
        *_model_decisions(spec, data, model, trainer),
        *_data_decisions(spec, data, model, trainer.eats),
        *_parallel_decisions(parallelism, hardware, steps),
        *_step_decisions(spec, steps, data),
        _derived(
            "trainable",
            trainer.trainable,
            f"{trainer.trainable / model.parameters:.2%} of {model.parameters:,} weights",
        ),
        *_reference_decision(trainer),
        *tracking_decisions(spec),
        *_rollout_decision(spec, trainer),
        _derived(
            "memory",
            shown_bytes(memory.total),
            f"for {spec.batching.per_device} rows of {data.longest} tokens, the longest row",
        ),
    ]
    return RunPlan(
        spec_hash=spec.hash,
        decisions=decisions,
        model=model,
        hardware=hardware,
        precision=precision,
        trainer=trainer,
        steps=steps,
        memory=memory,
        parallelism=parallelism,
        data={
            "rows_read": data.rows_read,
            "train_rows": len(data.train),
            "eval_rows": len(data.eval),
            "packs": data.sequences if data.packs is not None else None,
            "dropped": list(data.dropped),
            "too_long": list(data.too_long),
            "formats": dict(data.formats),
            "longest_tokens": data.longest,
            "fingerprint": data.fingerprint,
            "template_fingerprint": data.template_fingerprint,
        },
        warnings=warnings,
    )


REFERENCES = {
    ReferenceKind.ADAPTERS_OFF: "the base itself, with the adapter switched off",
    ReferenceKind.COPY: "a frozen copy of the model as it starts; it takes memory of its own",
}


def _reference_decision(trainer: TrainerFacts) -> Iterator[Decision]:
    if trainer.reference is not ReferenceKind.NONE:
        yield _derived("reference", trainer.reference.value, REFERENCES[trainer.reference])


def _rollout_decision(spec: RunSpec, trainer: TrainerFacts) -> Iterator[Decision]:
    if trainer.answer_tokens:
        prompts = spec.batching.per_device * spec.batching.accumulate
        why = f"{prompts} prompts a step, {trainer.answers} answers each"
        yield _derived("rollouts", prompts * trainer.answers, why)
    if trainer.beside:
        why = "frozen weights of reward models beside the model's own"
        yield _derived("rewards.weights", trainer.beside, why)


def _dtype_line(mode: str, compute: str) -> str:
    return {
        "full": f"{compute} throughout",
        "half": f"{compute} throughout, trained weights included",
        "mixed": f"{compute} compute, float32 trained weights",
    }[mode]


def _upcast_decisions(spec: RunSpec, compute: str, trainer: TrainerFacts) -> Iterator[Decision]:
    asked = spec.precision
    already = f"all of the run is {compute}" if compute == "float32" else None
    if asked.upcast_norms:
        why = "computed and kept in float32" + (
            "" if trainer.adapter_based else ", and saved so, as they may learn"
        )
        yield _derived("precision.norms", "float32", already or why)
    if asked.fp8:
        yield _derived("precision.fp8.products", "e4m3", "of linear layers but the head; e5m2 back")
    if asked.upcast_logits:
        tiled = trainer.eats in (DatasetKind.TEXT, DatasetKind.CONVERSATION)
        why = f"turned into float32 as they leave the head, which computes in {compute}"
        if tiled:
            why += f"; stage {spec.stage.name} makes them tile by tile and always does so"
        yield _derived("precision.logits", "float32", already or why)


def _derived(key: str, value: Json, reason: str) -> Decision:
    return Decision(key=key, value=value, origin=Origin.DERIVED, reason=reason)


def _spec_decisions(
    document: Mapping[str, object], origins: Mapping[str, Origin]
) -> Iterator[Decision]:
    reasons = {
        Origin.DEFAULT: "not set",
        Origin.FILE: "set in the spec",
        Origin.OVERRIDE: "set by an override",
    }
    for key, value in leaves(document):
        origin = origin_of(key, origins)
        yield Decision(key=key, value=value, origin=origin, reason=reasons[origin])


def origin_of(key: str, origins: Mapping[str, Origin]) -> Origin:
    """The origin of a dotted key: its own, or that of the nearest key around it that was set."""
    while key:
        if key in origins:
            return origins[key]
        key = key.rpartition(".")[0]
    return Origin.DEFAULT


def leaves(value: object, path: str = "") -> Iterator[tuple[str, Json]]:
    """Dotted path and value of everything that is not a filled mapping or list."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, (list, tuple)) and value:
        for number, inner in enumerate(value):
            yield from leaves(inner, f"{path}.{number}")
    else:
        yield path, value  # type: ignore[misc]


def _model_decisions(
    spec: RunSpec, data: PreparedData, model: ModelHandle, trainer: TrainerFacts
) -> Iterator[Decision]:
    if model.adapters:
        merged, last = "merged into the weights, in this order", "the last one learns on"
        if trainer.continues:
            why = last if len(model.adapters) == 1 else f"{merged}; {last}"
        else:
            why = f"{merged}, before anything learns"
        yield _derived("model.stack", list(model.adapters), why)
    if model.new_tokens:
        rows = f"one row each in {' and '.join(model.token_parts)}, of {model.vocabulary:,} now"
        yield _derived("model.new_rows", len(model.new_tokens), rows)
    if spec.model.rope is not None and model.rope is not None:
        yield from _rope_decisions(spec.model.rope, model.rope, spec.data.max_tokens)
    if spec.model.neftune_alpha is not None:
        most = spec.model.neftune_alpha / math.sqrt(model.hidden * data.longest)
        why = f"at most, on a row of {data.longest} tokens: alpha / sqrt(tokens * width)"
        yield _derived("model.neftune_noise", round(most, 6), why)
    if spec.model.router_aux_loss is not None:
        why = f"of the loss that spreads tokens over {model.experts} experts, mean of the layers"
        yield _derived("model.router_aux_loss.weight", spec.model.router_aux_loss, why)
    if spec.model.kernels != "none":
        yield _derived("kernels", spec.model.kernels, KERNELS[spec.model.kernels].does)


def _rope_decisions(
    asked: RopeSection, rope: RopeScaling, longest: int | None
) -> Iterator[Decision]:
    if asked.factor is None:
        why = f"data.max_tokens {longest} / the model's context {rope.original_tokens}, rounded up"
        yield _derived("model.rope.factor", rope.factor, why)
    stretch = f"{rope.original_tokens} positions stretched {rope.factor:g} times, {rope.type}"
    yield _derived("model.context_tokens", rope.tokens, stretch)


def _data_decisions(
    spec: RunSpec, data: PreparedData, model: ModelHandle, kind: DatasetKind
) -> Iterator[Decision]:
    for key, sources in (("train", spec.data.train), ("eval", spec.data.eval)):
        for number, source in enumerate(sources):
            if source.format == "auto":
                found = data.formats[source.name]
                yield _derived(f"data.{key}.{number}.format", found, "the columns of the first row")
    kept = len(data.train) + len(data.eval)
    left_out = f"{len(data.dropped)} unusable, {len(data.too_long)} too long"
    if spec.data.max_tokens is None:
        limit = spec.data.row_limit(model.context_tokens)
        yield _derived("data.max_tokens", limit, f"the model's context is {model.context_tokens}")
    stage = f"stage {spec.stage.name} trains on {kind.value} rows"
    if spec.data.over_long is None:
        yield _derived("data.over_long", spec.data.cut(kind), stage)
    if spec.batching.packing is None:
        yield _derived("batching.packing", data.packs is not None, stage)
    if data.stream is None:
        yield _derived("data.rows", kept, f"of {data.rows_read} read; {left_out}")
    else:
        why = f"streamed: the first {len(data.train)} were encoded; {left_out} until then"
        yield _derived("data.rows", "unknown", why)
    if data.packs is not None:
        yield _derived(
            "batching.packs",
            len(data.packs),
            f"{len(data.train)} rows packed, {data.train_tokens / len(data.packs):.0f} tokens each",
        )
    files = Counter(
        file.kind.value for row in data.train if row.media is not None for file in row.media.files
    )
    if files:
        found = ", ".join(f"{count} {kind}" for kind, count in files.items())
        yield _derived("data.media", found, "the model's processor reads them batch by batch")
    share = data.trained_tokens / data.train_tokens if data.train_tokens else 0.0
    among = "one epoch" if data.stream is None else "the first rows"
    yield _derived(
        "data.trained_tokens",
        data.trained_tokens,
        f"{share:.1%} of {data.train_tokens:,} tokens in {among} carry a loss",
    )


def _parallel_decisions(
    chosen: Parallelism, hardware: Hardware, steps: StepPlan
) -> Iterator[Decision]:
    if chosen.strategy == "single":
        return
    yield _derived("parallelism.processes", chosen.processes, f"{chosen.reason}; {chosen.divides}")
    why = f"batching.per_device x batching.accumulate x {chosen.processes} processes"
    yield _derived("batching.rows_per_step", steps.rows_per_step, why)
    if hardware.kind is DeviceKind.CPU:
        why = "the processes share one memory, so this is what all of them need together"
        yield _derived("memory.processes", chosen.processes, why)


def _step_decisions(spec: RunSpec, steps: StepPlan, data: PreparedData) -> Iterator[Decision]:
    batch = f"{spec.batching.per_device} x {spec.batching.accumulate}"
    processes = steps.rows_per_step // (spec.batching.per_device * spec.batching.accumulate)
    batch += f" x {processes}" if processes > 1 else ""
    if data.stream is not None:
        why = f"schedule.max_steps; rows are streamed, {batch} for each step"
    elif spec.schedule.max_steps is None:
        why = f"{steps.epochs:g} epochs of {steps.steps_per_epoch} steps, {batch} rows each"
        if spec.schedule.epochs is None:
            yield _derived("schedule.epochs", steps.epochs, "neither epochs nor max_steps is set")
    else:
        why = f"schedule.max_steps; {steps.epochs:.2f} epochs, {batch} rows each"
    yield _derived("steps", steps.total_steps, why)
    if spec.schedule.warmup_steps is None:
        ratio = "schedule.warmup_ratio" if spec.schedule.warmup_ratio is not None else "3%"
        yield _derived("schedule.warmup_steps", steps.warmup_steps, f"{ratio} of the steps")
    yield _derived("tokens", steps.tokens, f"{steps.trained_tokens:,} of them carry a loss")
