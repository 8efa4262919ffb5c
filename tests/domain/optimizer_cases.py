"""Rules of optimizers and of packed checkpoints: a breach and the nearest spec that has none."""

from dataclasses import replace
from typing import Any

from domain.hardware import DeviceKind
from domain.model_handle import PackedWeights
from domain.optimizing import Need
from domain.precision import PrecisionSection
from domain.rule_context import RuleContext
from domain.run_plan import TrainerFacts
from domain.run_spec import BatchingSection, Choice, ScheduleSection
from tests.domain.builders import FACTS, prepared, spec
from tests.fakes.models import CPU, HANDLE

TURING = replace(CPU, kind=DeviceKind.CUDA, name="T4", compute_capability=(7, 5))
BITS = Choice("bitsandbytes", {"bits": 4})
PACKED_BY_GPTQ = replace(HANDLE, packed=PackedWeights(by="gptq", bytes_per_weight=0.52))
PACKED_BY_MXFP4 = replace(HANDLE, packed=PackedWeights(by="mxfp4", bytes_per_weight=None))


def context(**parts: Any) -> RuleContext:
    """A context that breaks no rule, with some parts changed."""
    values: dict[str, Any] = {"spec": spec(), "hardware": CPU, "model": HANDLE, "trainer": FACTS}
    return RuleContext(**{**values, "data": prepared(), **parts})


def of_spec(**changes: Any) -> RuleContext:
    return context(spec=spec(**changes))


def precision(mode: str, dtype: str = "auto", **parts: Any) -> RuleContext:
    section = PrecisionSection(mode=mode, dtype=dtype)  # type: ignore[arg-type]
    return of_spec(precision=section, **parts)


def asking(need: Need) -> TrainerFacts:
    """Facts of an optimizer that asks one thing."""
    return replace(FACTS, optimizer_needs=(need,))


OPTIMIZER_CASES: list[tuple[str, RuleContext, RuleContext]] = [
    (
        "rule-optimizer-whole-weights",
        context(spec=spec(optimizer=Choice("galore", {})), trainer=asking(Need.WHOLE_WEIGHTS)),
        context(
            spec=spec(optimizer=Choice("galore", {}), method=Choice("full", {})),
            trainer=asking(Need.WHOLE_WEIGHTS),
        ),
    ),
    (
        "rule-optimizer-constant-rate",
        context(
            spec=spec(optimizer=Choice("schedule_free", {})), trainer=asking(Need.CONSTANT_RATE)
        ),
        context(
            spec=spec(
                optimizer=Choice("schedule_free", {}),
                schedule=ScheduleSection(scheduler="constant"),
            ),
            trainer=asking(Need.CONSTANT_RATE),
        ),
    ),
    (
        "rule-optimizer-one-pass",
        replace(of_spec(batching=BatchingSection(accumulate=2)), trainer=asking(Need.ONE_PASS)),
        context(trainer=asking(Need.ONE_PASS)),
    ),
    (
        "rule-optimizer-unclipped",
        context(trainer=asking(Need.UNCLIPPED)),
        replace(
            of_spec(schedule=ScheduleSection(max_grad_norm=None)), trainer=asking(Need.UNCLIPPED)
        ),
    ),
    (
        "rule-optimizer-unscaled",
        replace(precision("mixed", "float16"), hardware=TURING, trainer=asking(Need.UNSCALED)),
        replace(precision("half", "float16"), hardware=TURING, trainer=asking(Need.UNSCALED)),
    ),
    (
        "rule-optimizer-gpu",
        context(trainer=asking(Need.GPU)),
        context(hardware=TURING, trainer=asking(Need.GPU)),
    ),
    (
        "rule-optimizer-lone-device",
        context(hardware=replace(TURING, count=2), trainer=asking(Need.LONE_DEVICE)),
        context(hardware=TURING, trainer=asking(Need.LONE_DEVICE)),
    ),
    (
        "rule-packed-otherwise",
        replace(precision("mixed", quantization=BITS), model=PACKED_BY_GPTQ),
        replace(precision("mixed", quantization=Choice("gptq", {})), model=PACKED_BY_GPTQ),
    ),
    (
        "rule-packed-unknown",
        replace(precision("mixed"), model=PACKED_BY_MXFP4),
        replace(precision("mixed"), model=PACKED_BY_GPTQ),
    ),
]
