"""Cases of the rules about what a model is given before it learns, for `test_rules`."""

from dataclasses import replace
from typing import Any

from domain.hardware import DeviceKind
from domain.rope import RopeSection
from domain.rule_context import RuleContext
from domain.run_spec import Choice, ModelSection
from tests.domain.builders import FACTS, data_section, prepared, spec
from tests.fakes.models import CPU, HANDLE


def context(model: Any, /, **sections: Any) -> RuleContext:
    """A context with this model and these sections of its spec."""
    asked = spec(**sections)
    return RuleContext(spec=asked, hardware=CPU, model=model, trainer=FACTS, data=prepared())


def growing(*extra: str) -> RuleContext:
    """A model with new tokens, and a method beside which some parts learn whole."""
    parts = ("embed_tokens", "lm_head")
    model = replace(HANDLE, new_tokens=(("<a>", None),), token_parts=parts)
    return context(model, method=Choice("lora", {"extra": list(extra)}))


def by_unsloth(**keys: Any) -> RuleContext:
    """A model on a GPU that Unsloth shall load."""
    section = ModelSection(name="fake", kernels="unsloth", **keys)
    gpu = replace(CPU, kind=DeviceKind.CUDA, compute_capability=(8, 0))
    return replace(context(HANDLE, model=section), hardware=gpu, versions={"unsloth": "2099.1"})


def stretching(
    rope_type: str | None = "default", *, factor: float | None = None, max_tokens: int = 4000
) -> RuleContext:
    """A model of rotary embeddings of some type that shall be stretched for its longest row."""
    rope = RopeSection(type="linear", factor=factor)
    if rope_type != "default":
        max_tokens = HANDLE.context_tokens
    model = replace(HANDLE, rope_type=rope_type).stretched(rope, max_tokens)
    section = ModelSection(name="fake", rope=rope)
    return context(model, model=section, data=data_section(max_tokens=max_tokens))


INITIAL_CASES: list[tuple[str, RuleContext, RuleContext]] = [
    ("rule-new-tokens-frozen", growing("embed_tokens"), growing("embed_tokens", "lm_head")),
    (
        "rule-new-tokens-frozen",
        growing(),
        replace(growing(), trainer=replace(FACTS, adapter_based=False)),
    ),
    ("rule-unsloth-decides", by_unsloth(new_tokens={"<a>": None}), by_unsloth()),
    ("rule-rope-factor", stretching(factor=1.0, max_tokens=9), stretching(factor=2.0)),
    ("rule-rope-none", stretching(None), stretching()),
    ("rule-rope-layered", stretching("layered"), stretching()),
    ("rule-rope-scaled", stretching("yarn"), stretching()),
    ("rule-rope-needless", stretching(max_tokens=2048), stretching(factor=1.5, max_tokens=9)),
    ("rule-too-long-for-model", stretching(factor=1.5, max_tokens=4000), stretching(factor=2.0)),
]
"""(rule, a spec that breaks it, the nearest one that does not)."""
