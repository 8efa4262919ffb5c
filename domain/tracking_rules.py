"""Rules of what is watched while a run trains; see `domain.rules`."""

from collections.abc import Sequence

from domain.rule_context import Facts, Rule, RuleContext


def _evaluates(c: RuleContext) -> bool:
    rows = bool(c.spec.data.eval) or c.spec.data.eval_fraction is not None
    return rows and c.spec.tracking.eval_every_steps is not None


def _best_of_none(c: RuleContext) -> Facts | None:
    return {} if c.spec.output.keep_best and not _evaluates(c) else None


def _stopping_by_none(c: RuleContext) -> Facts | None:
    return {} if c.spec.tracking.early_stopping is not None and not _evaluates(c) else None


def _samples_unspoken(c: RuleContext) -> Facts | None:
    scores = c.trainer is not None and c.trainer.yields == "reward_model"
    return {"stage": c.spec.stage.name} if c.spec.tracking.samples and scores else None


def _samples_empty(c: RuleContext) -> Facts | None:
    samples = c.spec.tracking.samples
    return {} if samples is not None and not samples.prompts else None


TRACKING_RULES: Sequence[Rule] = (
    Rule(id="rule-best-needs-eval", field="output.keep_best", breach=_best_of_none),
    Rule(id="rule-stopping-needs-eval", field="tracking.early_stopping", breach=_stopping_by_none),
    Rule(id="rule-samples-unspoken", field="tracking.samples", breach=_samples_unspoken),
    Rule(id="rule-samples-empty", field="tracking.samples", breach=_samples_empty),
)
