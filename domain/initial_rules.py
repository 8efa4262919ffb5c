"""Rules of what a model is given before it learns: stretched positions and new tokens."""

from collections.abc import Callable, Sequence

from domain.rope import LAYERED, PLAIN
from domain.rule_context import Facts, Rule, RuleContext


def _too_small(c: RuleContext) -> bool:
    asked = c.spec.model.rope
    return asked is not None and asked.factor is not None and asked.factor <= 1


def _factor(c: RuleContext) -> Facts | None:
    asked = c.spec.model.rope
    return {"factor": f"{asked.factor:g}"} if asked and _too_small(c) else None


def _of_type(fits: Callable[[str | None], bool]) -> Callable[[RuleContext], Facts | None]:
    """A breach where a model with rotary embeddings of such a type shall be stretched."""

    def breach(c: RuleContext) -> Facts | None:
        if c.spec.model.rope is None or c.model is None or not fits(c.model.rope_type):
            return None
        return {"model": c.model.name, "type": c.model.rope_type or "none"}

    return breach


def _needless(c: RuleContext) -> Facts | None:
    """Stretching costs precision, so without a factor of its own it wants a row that needs it."""
    if c.spec.model.rope is None or c.model is None or c.model.rope is not None:
        return None
    if c.model.rope_type != PLAIN or _too_small(c):
        return None  # refused for that already
    context = c.model.context_tokens
    return {"longest": c.spec.data.row_limit(context), "context": context}


def _frozen_tokens(c: RuleContext) -> Facts | None:
    """Adapters leave the rows of tokens alone, unless these learn whole beside them."""
    if c.model is None or not c.model.new_tokens or c.trainer is None:
        return None
    extra = c.spec.method.options.get("extra")
    whole = set(extra) if isinstance(extra, (list, tuple)) else set()
    beside = whole.issuperset(c.model.token_parts)
    learns = not c.trainer.adapter_based or c.trainer.continues or beside
    parts = ", ".join(c.model.token_parts)
    return None if learns else {"method": c.spec.method.name, "parts": parts}


INITIAL_RULES: Sequence[Rule] = (
    Rule(id="rule-rope-factor", field="model.rope", breach=_factor),
    Rule(id="rule-rope-none", field="model.rope", breach=_of_type(lambda t: t is None)),
    Rule(id="rule-rope-layered", field="model.rope", breach=_of_type(lambda t: t == LAYERED)),
    Rule(
        id="rule-rope-scaled",
        field="model.rope",
        breach=_of_type(lambda t: t not in (None, LAYERED, PLAIN)),
    ),
    Rule(id="rule-rope-needless", field="model.rope", breach=_needless),
    Rule(id="rule-new-tokens-frozen", field="model.new_tokens", breach=_frozen_tokens),
)
