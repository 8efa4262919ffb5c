"""Rules: for each, a spec that breaks it, the nearest one that does not, and its words."""

from dataclasses import replace
from typing import Any

import pytest

from domain.budget import GIB, MemoryEstimate
from domain.dataset import DatasetKind, DataSource
from domain.error_texts import TEXTS
from domain.errors import Place
from domain.hardware import DeviceKind, Hardware
from domain.masking import EncodedRow
from domain.media import MediaLoading, ShownMedia
from domain.precision import PrecisionSection
from domain.rule_context import RuleContext
from domain.rules import RULES, broken_rules, remedies_for
from domain.run_plan import TrainerFacts
from domain.run_spec import (
    BatchingSection,
    Choice,
    ModelSection,
    ScheduleSection,
    TrackingSection,
)
from tests.domain.builders import FACTS, data_section, prepared, spec
from tests.domain.initial_cases import INITIAL_CASES
from tests.domain.optimizer_cases import OPTIMIZER_CASES, context, of_spec
from tests.domain.parallel_cases import PARALLEL_CASES
from tests.domain.rl_cases import RL_CASES
from tests.domain.tracking_cases import TRACKING_CASES
from tests.fakes.models import CPU, HANDLE

SHOWING = EncodedRow(
    (1,), (1,), media=ShownMedia(text="", files=(), loading=MediaLoading(), tokens={})
)
TURING = replace(CPU, kind=DeviceKind.CUDA, name="T4", compute_capability=(7, 5))
BITS = Choice("bitsandbytes", {"bits": 4})
WHOLE = TrainerFacts(adapter_based=False, trainable=HANDLE.parameters)
SLOW = {"learning_rate": 1e-5}
HELD_OUT = (DataSource(path="eval.jsonl"),)


def precision(mode: str, dtype: str = "auto", **parts: Any) -> RuleContext:
    section = PrecisionSection(mode=mode, dtype=dtype)  # type: ignore[arg-type]
    return context(spec=spec(precision=section, **parts))


def memory(total: int) -> MemoryEstimate:
    return MemoryEstimate(
        weights=total, gradients=0, optimizer=0, activations=0, logits=0, runtime=0
    )


SHIFTED = replace(FACTS, changes_base=True)
STACKED = replace(HANDLE, adapters=("a",))
CONTINUED = replace(FACTS, continues=True)
READING = replace(FACTS, reads_packed=True)
PAIRS = replace(FACTS, eats=DatasetKind.PREFERENCE)
PACKED = BatchingSection(packing=True)
BY_LENGTH = BatchingSection(group_by_length=True)


def streamed(**data: Any) -> RuleContext:
    """A spec whose rows are streamed for a number of steps."""
    steps = ScheduleSection(max_steps=5)
    return of_spec(data=data_section(streaming=True, **data), schedule=steps)


FLASH = {"flash-attn": "2.8.3"}
AMPERE = replace(TURING, name="A100", compute_capability=(8, 0))


def on_ampere(versions: dict[str, str], attention: Any) -> RuleContext:
    """A GPU of capability 8.0 with these packages."""
    model = ModelSection(name="fake", attention=attention)
    return context(spec=spec(model=model), hardware=AMPERE, versions=versions)


def about(hardware: Hardware = CPU, versions: Any = (), **model: Any) -> RuleContext:
    """A model section with some keys set, on a machine with these packages."""
    asked = spec(model=ModelSection(name="fake", **model))
    return context(spec=asked, hardware=hardware, versions=dict(versions))


HOPPER = replace(TURING, name="H100", compute_capability=(9, 0))


def float8(
    hardware: Hardware, versions: Any = (("torchao", "0.18.0"),), method: str = "full"
) -> RuleContext:
    """8-bit products on a machine with these packages."""
    asked = spec(precision=PrecisionSection(fp8=True), method=Choice(method, {}))
    facts = WHOLE if method == "full" else FACTS
    return context(spec=asked, hardware=hardware, versions=dict(versions), trainer=facts)


LIGER = {"liger-kernel": "0.8.5"}
UNSLOTH = {"unsloth": "2026.10.9"}
SPARSE = replace(HANDLE, experts=4, router_loss=True)
ROUTED = replace(about(router_aux_loss=0.001), model=SPARSE)
CASES: list[tuple[str, RuleContext, RuleContext]] = [
    (
        "rule-one-length",
        of_spec(schedule=ScheduleSection(epochs=1, max_steps=5)),
        of_spec(schedule=ScheduleSection(max_steps=5)),
    ),
    (
        "rule-one-warmup",
        of_spec(schedule=ScheduleSection(warmup_ratio=0.0, warmup_steps=0)),
        of_spec(schedule=ScheduleSection(warmup_steps=0)),
    ),
    (
        "rule-one-holdout",
        of_spec(data=data_section(eval=HELD_OUT, eval_fraction=0.1)),
        of_spec(data=data_section(eval=HELD_OUT)),
    ),
    (
        "rule-stream-needs-steps",
        of_spec(data=data_section(streaming=True)),
        streamed(),
    ),
    ("rule-stream-holdout", streamed(eval_fraction=0.1), streamed(eval=HELD_OUT)),
    (
        "rule-stream-length",
        replace(streamed(), spec=replace(streamed().spec, batching=BY_LENGTH)),
        of_spec(batching=BY_LENGTH),
    ),
    (
        "rule-stream-sample",
        streamed(train=(DataSource(path="a.jsonl", num_samples=5),)),
        streamed(train=(DataSource(path="a.jsonl", num_samples=5, sample="first"),)),
    ),
    (
        "rule-answers-apart",
        context(spec=spec(stage=Choice("dpo", {}), batching=PACKED), trainer=PAIRS),
        of_spec(batching=PACKED),
    ),
    (
        "rule-answers-apart",
        context(spec=spec(stage=Choice("dpo", {}), batching=BY_LENGTH), trainer=PAIRS),
        context(spec=spec(stage=Choice("dpo", {})), trainer=PAIRS),
    ),
    (
        "rule-eval-needs-data",
        of_spec(tracking=TrackingSection(eval_every_steps=5)),
        of_spec(tracking=TrackingSection(eval_every_steps=5), data=data_section(eval_fraction=0.1)),
    ),
    (
        "rule-full-precision-dtype",
        precision("full", "bfloat16"),
        precision("full", "float32"),
    ),
    ("rule-half-needs-16-bit", precision("half", "float32"), precision("half", "bfloat16")),
    ("rule-half-needs-16-bit", precision("mixed", "float32"), precision("auto", "float32")),
    (
        "rule-dtype-unsupported",
        precision("auto", "float16"),
        context(spec=spec(precision=PrecisionSection(dtype="float16")), hardware=TURING),
    ),
    (
        "rule-dtype-unsupported",
        context(spec=spec(precision=PrecisionSection(dtype="bfloat16")), hardware=TURING),
        precision("auto", "bfloat16"),
    ),
    (
        "rule-attention-unavailable",
        of_spec(model=ModelSection(name="fake", attention="flash_attention_2")),
        on_ampere(FLASH, "flash_attention_2"),
    ),
    (
        "rule-attention-unavailable",
        on_ampere({"flash-attn": "1.0.9"}, "flash_attention_2"),
        on_ampere({}, "flex"),
    ),
    (
        "rule-attention-unavailable",
        on_ampere({"flash-attn-3": "3.0.0"}, "flash_attention_3"),
        of_spec(model=ModelSection(name="fake", attention="s2")),
    ),
    (
        "rule-attention-unavailable",
        of_spec(model=ModelSection(name="fake", attention="flex")),
        on_ampere(FLASH, "auto"),
    ),
    (
        "rule-neftune-answers",
        replace(about(neftune_alpha=5.0), trainer=PAIRS),
        about(neftune_alpha=5.0),
    ),
    ("rule-router-loss-dense", about(router_aux_loss=0.001), ROUTED),
    (
        "rule-router-loss-unknown",
        replace(ROUTED, model=replace(SPARSE, router_loss=False)),
        context(model=replace(SPARSE, router_loss=False)),
    ),
    ("rule-router-loss-stage", replace(ROUTED, trainer=PAIRS), ROUTED),
    ("rule-kernels-unavailable", about(kernels="liger"), about(AMPERE, LIGER, kernels="liger")),
    (
        "rule-kernels-unavailable",
        about(AMPERE, {"unsloth": "2025.1.1"}, kernels="unsloth"),
        about(AMPERE, UNSLOTH, kernels="unsloth"),
    ),
    (
        "rule-kernels-unavailable",
        replace(about(AMPERE, LIGER, kernels="liger"), model=replace(HANDLE, family="bloom")),
        about(AMPERE, LIGER, kernels="liger"),
    ),
    (
        "rule-unsloth-decides",
        about(AMPERE, UNSLOTH, kernels="unsloth", attention="sdpa"),
        about(AMPERE, LIGER, kernels="liger", attention="sdpa"),
    ),
    ("rule-fp8-unavailable", float8(CPU), float8(HOPPER)),
    ("rule-fp8-unavailable", float8(AMPERE), float8(HOPPER)),
    ("rule-fp8-unavailable", float8(HOPPER, versions={}), float8(HOPPER)),
    ("rule-fp8-unavailable", float8(HOPPER, method="lora"), float8(HOPPER)),
    (
        "rule-s2-group-unused",
        about(attention="sdpa", s2_group=64),
        about(attention="s2", s2_group=64),
    ),
    (
        "rule-attention-unavailable",
        replace(about(attention="sdpa"), model=replace(HANDLE, attention=("eager",))),
        replace(about(attention="eager"), model=replace(HANDLE, attention=("eager",))),
    ),
    (
        "rule-quantized-needs-adapter",
        precision("mixed", quantization=BITS, method=Choice("full", {})),
        precision("mixed", quantization=BITS),
    ),
    (
        "rule-quantized-base",
        replace(precision("mixed", quantization=BITS), trainer=SHIFTED),
        precision("mixed", quantization=BITS),
    ),
    (
        "rule-packed-dora",
        replace(precision("mixed", quantization=Choice("gptq", {})), trainer=READING),
        replace(precision("mixed", quantization=BITS), trainer=READING),
    ),
    (
        "rule-packed-needed",
        context(trainer=replace(FACTS, needs_packed=True)),
        replace(precision("mixed", quantization=BITS), trainer=replace(FACTS, needs_packed=True)),
    ),
    (
        "rule-packed-adapters",
        replace(precision("mixed", quantization=BITS), model=STACKED),
        replace(precision("mixed", quantization=BITS), model=STACKED, trainer=CONTINUED),
    ),
    (
        "rule-start-tokens",
        context(trainer=replace(FACTS, start_tokens=3)),
        context(trainer=replace(FACTS, start_tokens=2)),
    ),
    (
        "rule-foreign-adapters",
        context(trainer=replace(FACTS, foreign_adapters=("a (b)",))),
        context(),
    ),
    *OPTIMIZER_CASES,
    (
        "rule-quantized-full-precision",
        of_spec(quantization=BITS),
        precision("mixed", quantization=BITS),
    ),
    (
        "rule-too-long-for-model",
        of_spec(data=data_section(max_tokens=HANDLE.context_tokens + 1)),
        of_spec(data=data_section(max_tokens=HANDLE.context_tokens)),
    ),
    *INITIAL_CASES,
    *PARALLEL_CASES,
    *RL_CASES,
    *TRACKING_CASES,
    (
        "rule-no-chat-template",
        context(model=replace(HANDLE, has_chat_template=False)),
        context(),
    ),
    (
        "rule-media-packing",
        context(data=replace(prepared((SHOWING,)), packs=[[0]])),
        context(data=prepared((SHOWING,))),
    ),
    ("rule-too-few-rows", context(data=prepared(())), context()),
    (
        "rule-does-not-fit",
        context(memory=memory(CPU.memory_bytes + 1)),
        context(memory=memory(CPU.free_bytes)),
    ),
    (
        "rule-tight-memory",
        context(memory=memory(CPU.free_bytes + 1)),
        context(memory=memory(CPU.free_bytes)),
    ),
    (
        "rule-lost-updates",
        precision("half", method=Choice("full", {}), optimizer=Choice("adamw", SLOW)),
        precision("mixed", method=Choice("full", {}), optimizer=Choice("adamw", SLOW)),
    ),
]


def broken(found: RuleContext) -> list[str]:
    facts = found.trainer
    if facts is not None and found.spec.method.name != "lora":
        facts = replace(WHOLE, optimizer_needs=facts.optimizer_needs)
    judged = replace(found, trainer=facts)
    problems = [*broken_rules(judged), *broken_rules(judged, warnings=True)]
    return [problem.code for problem in problems]


@pytest.mark.parametrize(("id", "breach", "kept"), CASES, ids=[case[0] for case in CASES])
def test_a_rule_is_broken_here_and_kept_there(
    id: str, breach: RuleContext, kept: RuleContext
) -> None:
    assert broken(breach) == [id]
    assert broken(kept) == []


def test_every_rule_of_the_table_has_a_case_and_texts() -> None:
    assert {rule.id for rule in RULES} == {id for id, _, _ in CASES}
    assert {rule.id for rule in RULES} <= TEXTS.keys()
    assert len({rule.id for rule in RULES}) == len(RULES)


def test_every_rule_points_at_a_key_of_a_spec() -> None:
    document = spec().as_json()
    for rule in RULES:
        section, _, key = rule.field.partition(".")
        inner = document[section]
        assert isinstance(inner, dict)
        assert key in inner, rule.field


def test_all_broken_rules_come_at_once_in_the_order_of_the_table() -> None:
    wrong = context(
        spec=spec(
            schedule=ScheduleSection(epochs=1, max_steps=5, warmup_ratio=0.1, warmup_steps=1),
            tracking=TrackingSection(eval_every_steps=5),
            data=data_section(max_tokens=5000),
        )
    )
    assert broken(wrong) == [
        "rule-one-length",
        "rule-one-warmup",
        "rule-eval-needs-data",
        "rule-too-long-for-model",
    ]


def test_a_rule_that_only_warns_refuses_nothing() -> None:
    tight = context(memory=memory(CPU.memory_bytes))
    assert broken_rules(tight) == []
    assert [found.code for found in broken_rules(tight, warnings=True)] == ["rule-tight-memory"]
    assert broken_rules(context(memory=memory(20 * GIB)), warnings=True) == []


def test_what_is_not_known_yet_breaks_nothing() -> None:
    bare = RuleContext(spec=spec(data=data_section(max_tokens=5000)), hardware=CPU)
    assert broken_rules(bare) == []


def test_a_broken_rule_stands_where_its_field_stands() -> None:
    def place(field: str) -> Place:
        return Place(file="run.yaml", line=7, field=field)

    wrong = of_spec(schedule=ScheduleSection(epochs=1, max_steps=5))
    assert str(broken_rules(wrong, place)[0].place) == "run.yaml:7 schedule.max_steps"
    assert broken_rules(wrong)[0].place == Place(field="schedule.max_steps")


def test_a_run_that_does_not_fit_is_told_what_would_help() -> None:
    found = broken_rules(context(memory=memory(20 * GIB)))[0]
    assert found.facts == {
        "needed": "20.00 GiB",
        "device": "fake CPU",
        "available": "8.00 GiB",
        "remedies": "batching.per_device=1 batching.accumulate=4; "
        "model.gradient_checkpointing=true; data.max_tokens=10",
    }
    assert found.exit_code == 5


def test_remedies_leave_out_what_the_spec_does_already() -> None:
    frugal = spec(
        batching=BatchingSection(per_device=1),
        model=ModelSection(name="fake", gradient_checkpointing=True),
        quantization=BITS,
    )
    assert remedies_for(frugal, 64) == "data.max_tokens=32"
