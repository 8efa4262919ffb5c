"""DeepSpeed's JSON, made from the plan, and a user's own one held against it.

Format: https://www.deepspeed.ai/docs/config-json/. Rows, passes, number formats, clipping and ZeRO
are the spec's. The optimizer and the learning rate are ours in any case, so DeepSpeed gets neither.
"""

from collections.abc import Iterator, Mapping

from domain.fingerprint import Json
from domain.parallelism import DEFAULT_ZERO, ParallelismSection
from domain.run_plan import RunPlan
from domain.run_spec import RunSpec

AUTO = "auto"
"""What transformers' users write where a value follows from elsewhere; it never contradicts."""
OURS = ("optimizer", "scheduler", "amp", "autotuning", "elasticity")
"""Sections that would put something else in the place of what the spec says."""


def deepspeed_config(spec: RunSpec, plan: RunPlan) -> dict[str, Json]:
    """What DeepSpeed is told: the spec's values over those of the user's own file."""
    wanted = required(spec, plan.parallelism.processes, plan.precision.mode)
    return _over(plan.trainer.parallel_config or {}, wanted)


def required(spec: RunSpec, processes: int, mode: str) -> dict[str, Json]:
    """The part of DeepSpeed's JSON that a spec decides."""
    rows, passes = spec.batching.per_device, spec.batching.accumulate
    return {
        "train_micro_batch_size_per_gpu": rows,
        "gradient_accumulation_steps": passes,
        "train_batch_size": rows * passes * processes,
        "gradient_clipping": spec.schedule.max_grad_norm or 0.0,
        "bf16": {"enabled": mode == "mixed"},
        "fp16": {"enabled": False},
        "zero_optimization": _zero(spec.parallelism),
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
    }


def _zero(asked: ParallelismSection) -> dict[str, Json]:
    section: dict[str, Json] = {"stage": asked.zero or DEFAULT_ZERO}
    if asked.offload != "none":
        section["offload_optimizer"] = {"device": "cpu"}
    if asked.offload == "all":
        section["offload_param"] = {"device": "cpu"}
    if asked.zero == 3:
        section["stage3_gather_16bit_weights_on_model_save"] = True
    return section


def contradictions(
    theirs: Mapping[str, Json], wanted: Mapping[str, Json]
) -> Iterator[tuple[str, Json, Json]]:
    """(dotted field, the file's value, the spec's) of each value that contradicts the spec."""
    for key in OURS:
        if key in theirs:
            yield key, theirs[key], None
    zero = theirs.get("zero_optimization")
    offloads = wanted.get("zero_optimization")
    if isinstance(zero, Mapping) and isinstance(offloads, Mapping):
        for key in ("offload_optimizer", "offload_param"):
            if key in zero and key not in offloads:
                yield f"zero_optimization.{key}", zero[key], None
    yield from _differences(theirs, wanted, "")


def _differences(
    theirs: Mapping[str, Json], wanted: Mapping[str, Json], path: str
) -> Iterator[tuple[str, Json, Json]]:
    for key in [key for key in theirs if key in wanted]:
        their, our = theirs[key], wanted[key]
        if isinstance(their, Mapping) and isinstance(our, Mapping):
            yield from _differences(their, our, f"{path}{key}.")
        elif their not in (AUTO, our):
            yield f"{path}{key}", their, our


def _over(theirs: Mapping[str, Json], wanted: Mapping[str, Json]) -> dict[str, Json]:
    """`theirs` with `wanted` over it, section by section; what neither fixes is left out."""
    merged: dict[str, Json] = {key: value for key, value in theirs.items() if value != AUTO}
    for key, value in wanted.items():
        their = merged.get(key)
        both = isinstance(their, Mapping) and isinstance(value, Mapping)
        merged[key] = _over(their, value) if both else value  # type: ignore[arg-type]
    return merged


def chosen_config(spec: RunSpec, plan: RunPlan) -> dict[str, Json] | None:
    """What DeepSpeed is told in this run; None where another strategy trains."""
    return deepspeed_config(spec, plan) if plan.parallelism.strategy == "deepspeed" else None
