"""Rules of stages that learn from rewards; see `domain.rules`."""

from collections.abc import Mapping, Sequence
from typing import Any

from domain.dataset import DatasetKind
from domain.optimizing import Need
from domain.rule_context import Facts, Rule, RuleContext

COLDEST = 0.01
"""vLLM raises lower temperatures to this one."""


def _writes(c: RuleContext) -> bool:
    """Whether the model answers prompts while it learns."""
    return c.trainer is not None and c.trainer.eats is DatasetKind.PROMPT


def _minibatches(c: RuleContext) -> Facts | None:
    if c.trainer is None or not _writes(c):
        return None
    answers = c.spec.batching.per_device * c.spec.batching.accumulate * c.trainer.answers
    asked = _options(c)["minibatches"]
    return {"minibatches": asked, "answers": answers} if asked > answers else None


def _context(c: RuleContext) -> Facts | None:
    if c.trainer is None or c.model is None or c.data is None or not _writes(c):
        return None
    prompt, answer, context = c.data.longest, c.trainer.answer_tokens, c.model.context_tokens
    if prompt + answer <= context:
        return None
    return {"prompt": prompt, "answer": answer, "context": context}


def _cut(c: RuleContext) -> Facts | None:
    policy = c.spec.data.over_long
    wrong = _writes(c) and policy not in (None, "drop", "error")
    return {"policy": policy} if wrong else None


def _dropout(c: RuleContext) -> Facts | None:
    wrong = _writes(c) and c.spec.method.options.get("dropout")
    return {"stage": c.spec.stage.name} if wrong else None


def _attention(c: RuleContext) -> Facts | None:
    wrong = _writes(c) and c.spec.model.attention == "s2"
    return {"stage": c.spec.stage.name} if wrong else None


def _one_pass(c: RuleContext) -> Facts | None:
    if c.trainer is None or not _writes(c) or Need.ONE_PASS not in c.trainer.optimizer_needs:
        return None
    return {"optimizer": c.spec.optimizer.name, "stage": c.spec.stage.name}


def _reference(c: RuleContext) -> Facts | None:
    if c.data is None or not _writes(c):
        return None
    compares = any(reward.get("compare") for reward in _options(c)["rewards"])
    rows = (*c.data.train, *c.data.eval)
    lacking = any(row.asked is not None and not row.asked.answer.strip() for row in rows)
    return {} if compares and lacking else None


def _shared_base(c: RuleContext) -> Facts | None:
    if c.trainer is None or not c.trainer.shares_base:
        return None
    untouched = c.trainer.adapter_based and not c.trainer.changes_base
    return None if untouched else {"method": c.spec.method.name}


def _engine(c: RuleContext) -> Facts | None:
    if c.trainer is None or not _writes(c) or _options(c)["engine"] != "vllm":
        return None
    model, method = c.spec.model, c.spec.method
    beyond = {
        f"method.name={method.name}": method.name != "lora",
        "method.dora": method.options.get("dora"),
        "method.extra": method.options.get("extra"),
        f"method.init={method.options.get('init')}": c.trainer.changes_base,
        "quantization.name": c.spec.quantization is not None,
        "model.adapters": model.adapters,
        "model.rope": model.rope is not None,
        "model.new_tokens": model.new_tokens,
        "stage.temperature": _options(c)["temperature"] < COLDEST,
    }
    what = next((name for name, asked in beyond.items() if asked), None)
    return {"what": what} if what else None


def _options(c: RuleContext) -> Mapping[str, Any]:
    return c.spec.stage.options


RL_RULES: Sequence[Rule] = (
    Rule(id="rule-rl-minibatches", field="batching.per_device", breach=_minibatches),
    Rule(id="rule-rl-context", field="data.max_tokens", breach=_context),
    Rule(id="rule-rl-cut", field="data.over_long", breach=_cut),
    Rule(id="rule-rl-dropout", field="method.name", breach=_dropout),
    Rule(id="rule-rl-attention", field="model.attention", breach=_attention),
    Rule(id="rule-rl-one-pass", field="optimizer.name", breach=_one_pass),
    Rule(id="rule-rl-reference", field="stage.name", breach=_reference),
    Rule(id="rule-rl-engine", field="stage.name", breach=_engine),
    Rule(id="rule-rl-shared-base", field="method.name", breach=_shared_base),
)
