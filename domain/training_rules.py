"""Rules of training options: noise, the router's loss, kernels; see `domain.rules`."""

from collections.abc import Sequence

from domain.dataset import DatasetKind
from domain.kernels import obstacle
from domain.rule_context import Facts, Rule, RuleContext

ANSWERS = (DatasetKind.PREFERENCE, DatasetKind.FEEDBACK, DatasetKind.PROMPT)
"""Rows whose stages compare or judge answers, with trainers of our own."""


def _noise_on_answers(c: RuleContext) -> Facts | None:
    """The reference model may be the policy with its adapters off, which the noise would reach."""
    if c.spec.model.neftune_alpha is None or c.trainer is None or c.trainer.eats not in ANSWERS:
        return None
    return {"stage": c.spec.stage.name}


def _router_of_dense(c: RuleContext) -> Facts | None:
    if c.spec.model.router_aux_loss is None or c.model is None or c.model.experts:
        return None
    return {"model": c.model.name}


def _router_unknown(c: RuleContext) -> Facts | None:
    if c.spec.model.router_aux_loss is None or c.model is None or c.model.router_loss:
        return None
    if not c.model.experts:
        return None  # refused for that already
    return {"model": c.model.name, "family": c.model.family}


def _router_of_answers(c: RuleContext) -> Facts | None:
    if c.spec.model.router_aux_loss is None or c.trainer is None or c.trainer.eats not in ANSWERS:
        return None
    return {"stage": c.spec.stage.name}


def _kernels_unavailable(c: RuleContext) -> Facts | None:
    asked = c.spec.model.kernels
    why = obstacle(asked, c.hardware, c.versions, c.model.family if c.model else None)
    return {"name": asked, "reason": why[0], "advice": why[1]} if why else None


def _unsloth_decides(c: RuleContext) -> Facts | None:
    model, packing = c.spec.model, c.spec.quantization
    set_keys = {
        "model.attention": model.attention != "auto",
        "model.rope": model.rope is not None,
        "model.new_tokens": bool(model.new_tokens),
        "quantization": packing is not None and packing.name != "bitsandbytes",
    }
    keys = [key for key, is_set in set_keys.items() if is_set]
    return {"keys": ", ".join(keys)} if model.kernels == "unsloth" and keys else None


def _needless_group(c: RuleContext) -> Facts | None:
    asked = c.spec.model
    return {"name": asked.attention} if asked.s2_group and asked.attention != "s2" else None


TRAINING_RULES: Sequence[Rule] = (
    Rule(id="rule-neftune-answers", field="model.neftune_alpha", breach=_noise_on_answers),
    Rule(id="rule-router-loss-dense", field="model.router_aux_loss", breach=_router_of_dense),
    Rule(id="rule-router-loss-unknown", field="model.router_aux_loss", breach=_router_unknown),
    Rule(id="rule-router-loss-stage", field="model.router_aux_loss", breach=_router_of_answers),
    Rule(id="rule-kernels-unavailable", field="model.kernels", breach=_kernels_unavailable),
    Rule(id="rule-unsloth-decides", field="model.kernels", breach=_unsloth_decides),
    Rule(id="rule-s2-group-unused", field="model.s2_group", breach=_needless_group),
)
