"""Rules: for each, a spec that breaks it, the nearest one that does not, and its words."""

from dataclasses import replace
from typing import Any

import pytest

from domain.budget import GIB, MemoryEstimate
from domain.dataset import DataSource
from domain.error_texts import TEXTS
from domain.errors import Place
from domain.hardware import DeviceKind
from domain.precision import PrecisionSection
from domain.rules import RULES, RuleContext, broken_rules, remedies_for
from domain.run_plan import TrainerFacts
from domain.run_spec import (
    BatchingSection,
    Choice,
    ModelSection,
    ScheduleSection,
    TrackingSection,
)
from tests.domain.builders import FACTS, data_section, prepared, spec
from tests.fakes.models import CPU, HANDLE

TURING = replace(CPU, kind=DeviceKind.CUDA, name="T4", compute_capability=(7, 5))
BITS = Choice("bitsandbytes", {"bits": 4})
WHOLE = TrainerFacts(adapter_based=False, trainable=HANDLE.parameters)
HELD_OUT = (DataSource(path="eval.jsonl"),)


def context(**parts: Any) -> RuleContext:
    """A context that breaks no rule, with some parts changed."""
    values: dict[str, Any] = {"spec": spec(), "hardware": CPU, "model": HANDLE, "trainer": FACTS}
    return RuleContext(**{**values, "data": prepared(), **parts})


def of_spec(**changes: Any) -> RuleContext:
    return context(spec=spec(**changes))


def precision(mode: str, dtype: str = "auto", **parts: Any) -> RuleContext:
    section = PrecisionSection(mode=mode, dtype=dtype)  # type: ignore[arg-type]
    return context(spec=spec(precision=section, **parts))


def memory(total: int) -> MemoryEstimate:
    return MemoryEstimate(
        weights=total, gradients=0, optimizer=0, activations=0, logits=0, runtime=0
    )


BROKEN_AND_KEPT: dict[str, list[tuple[RuleContext, RuleContext]]] = {
    "rule-one-length": [
        (of_spec(schedule=ScheduleSection(epochs=1, max_steps=5)),) * 1
        + (of_spec(schedule=ScheduleSection(max_steps=5)),)
    ],
}
