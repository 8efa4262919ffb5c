"""Rules of stages that learn from rewards: a breach and the nearest spec that has none."""

from dataclasses import replace
from typing import Any

from domain.conversation import Message, Role
from domain.dataset import DatasetKind
from domain.masking import IGNORED, EncodedRow
from domain.optimizing import Need
from domain.prompted import Prompted
from domain.rule_context import RuleContext
from domain.run_plan import TrainerFacts
from domain.run_spec import BatchingSection, Choice, ModelSection
from tests.domain.builders import FACTS, data_section, prepared, spec
from tests.fakes.models import CPU, HANDLE

WRITES = replace(FACTS, eats=DatasetKind.PROMPT, answers=2, answer_tokens=16)


def stage(**options: Any) -> Choice:
    fixed: dict[str, Any] = {
        "minibatches": 1,
        "rewards": (),
        "engine": "transformers",
        "temperature": 1.0,
    }
    return Choice("grpo", {**fixed, **options})


VLLM = stage(engine="vllm")


def of_spec(trainer: TrainerFacts = WRITES, **changes: Any) -> RuleContext:
    """A context of a stage that writes answers."""
    asked = spec(**{"stage": stage(), **changes})
    return RuleContext(
        spec=asked, hardware=CPU, model=HANDLE, trainer=trainer, data=prepared((prompt("4"),))
    )


def prompt(reference: str, tokens: int = 4) -> EncodedRow:
    asked = Prompted((Message(Role.USER, "2 + 2?"),), reference)
    return EncodedRow((1,) * tokens, (IGNORED,) * tokens, asked=asked)


def answered(reference: str) -> RuleContext:
    found = of_spec(stage=stage(rewards=({"name": "regex", "compare": True},)))
    return replace(found, data=prepared((prompt(reference),)))


def longest(tokens: int) -> RuleContext:
    return replace(of_spec(), data=prepared((prompt("4", tokens),)))


SHARES = replace(WRITES, shares_base=True)
CONTEXT = HANDLE.context_tokens

RL_CASES: list[tuple[str, RuleContext, RuleContext]] = [
    (
        "rule-rl-minibatches",
        of_spec(stage=stage(minibatches=5), batching=BatchingSection(per_device=2)),
        of_spec(stage=stage(minibatches=4), batching=BatchingSection(per_device=2)),
    ),
    ("rule-rl-context", longest(CONTEXT - 15), longest(CONTEXT - 16)),
    (
        "rule-rl-cut",
        of_spec(data=data_section(over_long="cut_left")),
        of_spec(data=data_section(over_long="drop")),
    ),
    (
        "rule-rl-dropout",
        of_spec(method=Choice("lora", {"dropout": 0.1})),
        of_spec(method=Choice("lora", {"dropout": 0.0})),
    ),
    (
        "rule-rl-attention",
        of_spec(model=ModelSection(name="fake", attention="s2")),
        of_spec(model=ModelSection(name="fake", attention="eager")),
    ),
    (
        "rule-rl-one-pass",
        of_spec(replace(WRITES, optimizer_needs=(Need.ONE_PASS,))),
        of_spec(replace(WRITES, optimizer_needs=(Need.UNSCALED,))),
    ),
    ("rule-rl-reference", answered(" "), answered("4")),
    (
        "rule-rl-engine",
        of_spec(stage=stage(engine="vllm", temperature=0.009)),
        of_spec(stage=stage(engine="vllm", temperature=0.01)),
    ),
    (
        "rule-rl-engine",
        of_spec(replace(WRITES, changes_base=True), stage=VLLM),
        of_spec(WRITES, stage=VLLM),
    ),
    (
        "rule-rl-engine",
        of_spec(stage=VLLM, method=Choice("lora", {"dora": True})),
        of_spec(stage=VLLM, method=Choice("lora", {"dora": False})),
    ),
    (
        "rule-rl-engine",
        of_spec(stage=VLLM, model=ModelSection(name="fake", adapters=("first",))),
        of_spec(model=ModelSection(name="fake", adapters=("first",))),
    ),
    (
        "rule-rl-shared-base",
        of_spec(replace(SHARES, changes_base=True)),
        of_spec(SHARES),
    ),
]
