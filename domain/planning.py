"""Planning: spec, model, data and hardware become a plan, or every broken rule at once."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from domain.budget import MemoryEstimate, estimate_memory, shown_bytes
from domain.dataset import DatasetKind
from domain.errors import Problem
from domain.fingerprint import Json
from domain.hardware import DeviceKind, Hardware
from domain.model_handle import ModelHandle
from domain.precision import choose_precision
from domain.prepared import PreparedData
from domain.run_plan import Decision, Origin, RunPlan, TrainerFacts
from domain.run_spec import RunSpec
from domain.schedule import StepPlan, plan_steps


def estimate(
    spec: RunSpec,
    hardware: Hardware,
    model: ModelHandle,
    trainer: TrainerFacts,
    quantized_bytes: float | None,
    longest_tokens: int,
) -> MemoryEstimate:
    """Memory of the largest batch this run can meet."""
    return estimate_memory(
        model,
        choose_precision(spec.precision, hardware),
        trainable=trainer.trainable,
        optimizer_numbers=trainer.optimizer_numbers,
        optimizer_number_bytes=trainer.optimizer_number_bytes,
        trains_all=trainer.trainable >= model.parameters,
        quantized_bytes_per_weight=quantized_bytes,
        rows=spec.batching.per_device * trainer.sequences_per_row,
        tokens=longest_tokens,
        fused_attention=spec.model.attention != "eager",
        checkpointing=spec.model.gradient_checkpointing,
        on_cpu=hardware.kind is DeviceKind.CPU,
    )


def make_plan(
    *,
    spec: RunSpec,
    origins: Mapping[str, Origin],
    hardware: Hardware,
    model: ModelHandle,
    trainer: TrainerFacts,
    data: PreparedData,
    memory: MemoryEstimate,
    warnings: Sequence[Problem] = (),
) -> RunPlan:
    """The plan of a spec that breaks no rule. `origins` names who set each dotted key."""
    precision = choose_precision(spec.precision, hardware)
    steps = plan_steps(
        spec.schedule,
        spec.batching,
        train_rows=data.sequences,
        eval_rows=len(data.eval),
        epoch_tokens=data.train_tokens,
        epoch_trained_tokens=data.trained_tokens,
    )
    if data.stream is not None:
        steps = replace(steps, train_rows=0, steps_per_epoch=0, epochs=0.0)
    decisions = list(_spec_decisions(spec.as_json(), origins))
    decisions += [
        _derived("device", hardware.name, f"the first {hardware.kind.value} device"),
        _derived("precision", _dtype_line(precision.mode, precision.compute), precision.reason),
        _derived("template", data.template_fingerprint[:12], model.template_reason),
        *_data_decisions(spec, data, model, trainer.eats),
        *_step_decisions(spec, steps, data),
        _derived(
            "trainable",
            trainer.trainable,
            f"{trainer.trainable / model.parameters:.2%} of {model.parameters:,} weights",
        ),
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


def _dtype_line(mode: str, compute: str) -> str:
    return {
        "full": f"{compute} throughout",
        "half": f"{compute} throughout, trained weights included",
        "mixed": f"{compute} compute, float32 trained weights",
    }[mode]


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


def _step_decisions(spec: RunSpec, steps: StepPlan, data: PreparedData) -> Iterator[Decision]:
    batch = f"{spec.batching.per_device} x {spec.batching.accumulate}"
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
