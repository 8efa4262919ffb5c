"""Rules of several processes: a breach and the nearest spec that has none."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from domain.fingerprint import Json
from domain.hardware import DeviceKind
from domain.parallelism import ParallelismSection
from domain.precision import PrecisionSection
from domain.rule_context import RuleContext
from domain.run_plan import ReferenceKind
from domain.run_spec import BatchingSection, Choice, ModelSection
from tests.domain.builders import FACTS
from tests.domain.optimizer_cases import of_spec
from tests.fakes.models import CPU

TWO = ParallelismSection(strategy="ddp", processes=2)
ZERO_2 = ParallelismSection(strategy="deepspeed", processes=2)
ZERO_3 = ParallelismSection(strategy="deepspeed", processes=2, zero=3)
SHARDED = ParallelismSection(strategy="fsdp2", processes=2)
TWO_GPUS = replace(CPU, kind=DeviceKind.CUDA, name="H100", count=2, compute_capability=(9, 0))
PLAIN = PrecisionSection(mode="full")
MIXED = PrecisionSection(mode="mixed", dtype="bfloat16")
FULL = Choice("full", {})


def of(parallelism: ParallelismSection, **changes: Any) -> RuleContext:
    return of_spec(**{"parallelism": parallelism, "precision": PLAIN, **changes})


def knowing(context: RuleContext, **facts: Any) -> RuleContext:
    """The same with other facts of the trainer."""
    return replace(context, trainer=replace(FACTS, **facts))


def told(config: Mapping[str, Json]) -> RuleContext:
    return knowing(of(ZERO_2), parallel_config=config)


def lora(**options: Json) -> Choice:
    return Choice("lora", {"rank": 8, **options})


MANY = ParallelismSection(strategy="ddp", processes=3)
PARALLEL_CASES: list[tuple[str, RuleContext, RuleContext]] = [
    ("rule-parallel-unused", of(ParallelismSection(processes=2)), of(TWO)),
    ("rule-parallel-unused", of(replace(TWO, zero=2)), of(replace(ZERO_2, zero=2))),
    ("rule-parallel-unused", of(replace(SHARDED, offload="all")), of(SHARDED)),
    ("rule-parallel-unused", of(replace(TWO, config="ds.json")), of(TWO)),
    (
        "rule-parallel-devices",
        replace(of(MANY), hardware=TWO_GPUS),
        replace(of(TWO), hardware=TWO_GPUS),
    ),
    ("rule-parallel-devices", replace(of(MANY), hardware=TWO_GPUS), of(MANY)),
    ("rule-parallel-alone", of(ParallelismSection(strategy="fsdp2")), of(SHARDED)),
    (
        "rule-parallel-alone",
        of(replace(TWO, processes=1)),
        of(ParallelismSection(strategy="deepspeed")),
    ),
    (
        "rule-parallel-offload",
        of(replace(ZERO_2, offload="all")),
        of(replace(ZERO_3, offload="all")),
    ),
    *(
        ("rule-parallel-stage", of(TWO, stage=Choice(name, {})), of(TWO, stage=Choice("orpo", {})))
        for name in ("reward", "kto", "ppo", "grpo")
    ),
    ("rule-parallel-method", of(TWO, method=Choice("adalora", {})), of(TWO, method=FULL)),
    ("rule-parallel-method", knowing(of(TWO), start_tokens=1), of(TWO)),
    (
        "rule-parallel-method",
        of(SHARDED, method=Choice("oft", {})),
        of(TWO, method=Choice("oft", {})),
    ),
    ("rule-parallel-method", knowing(of(ZERO_3), reads_packed=True), of(ZERO_3)),
    ("rule-parallel-method", knowing(of(ZERO_3), changes_base=True), of(ZERO_3)),
    ("rule-parallel-method", of(ZERO_3, method=lora(extra=["lm_head"])), of(ZERO_3, method=lora())),
    (
        "rule-parallel-optimizer",
        of(ZERO_2, optimizer=Choice("muon", {})),
        of(TWO, optimizer=Choice("muon", {})),
    ),
    (
        "rule-parallel-optimizer",
        of(TWO, optimizer=Choice("galore", {})),
        of(SHARDED, optimizer=Choice("lion", {})),
    ),
    ("rule-parallel-precision", of(ZERO_2, precision=MIXED), of(TWO, precision=MIXED)),
    ("rule-parallel-precision", of(SHARDED, precision=MIXED), of(SHARDED)),
    (
        "rule-parallel-reference",
        knowing(of(SHARDED), reference=ReferenceKind.COPY),
        knowing(of(TWO), reference=ReferenceKind.COPY),
    ),
    (
        "rule-parallel-unproved",
        of(TWO, batching=BatchingSection(group_by_length=True)),
        of(TWO),
    ),
    (
        "rule-parallel-unproved",
        of(TWO, stage=Choice("dpo", {"loss": "aot"})),
        of(TWO, stage=Choice("dpo", {"loss": "ipo"})),
    ),
    (
        "rule-parallel-unproved",
        of(SHARDED, model=ModelSection(name="fake", neftune_alpha=5.0)),
        of(TWO, model=ModelSection(name="fake", neftune_alpha=5.0)),
    ),
    ("rule-parallel-config", told({"train_batch_size": 7}), told({"train_batch_size": 8})),
]
