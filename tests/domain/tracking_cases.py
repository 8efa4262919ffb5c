"""Cases of the rules about what is watched, for `test_rules`."""

from dataclasses import replace
from typing import Any

from domain.rule_context import RuleContext
from domain.run_spec import OutputSection, TrackingSection
from domain.tracking import SamplesSection, StoppingSection
from tests.domain.builders import FACTS, data_section
from tests.domain.optimizer_cases import of_spec


def choosing(*, held_out: bool = True, every: int | None = 5, **tracking: Any) -> RuleContext:
    """A run whose best evaluation is kept, or which stops by its evaluations."""
    return of_spec(
        tracking=TrackingSection(eval_every_steps=every if held_out else None, **tracking),
        data=data_section(eval_fraction=0.1 if held_out else None),
        output=OutputSection(keep_best=not tracking),
    )


def sampling(yields: str, *prompts: str) -> RuleContext:
    """A stage that shall answer prompts."""
    tracking = TrackingSection(samples=SamplesSection(prompts=prompts))
    return replace(of_spec(tracking=tracking), trainer=replace(FACTS, yields=yields))


STOPS = StoppingSection(patience=2)
TRACKING_CASES: list[tuple[str, RuleContext, RuleContext]] = [
    ("rule-best-needs-eval", choosing(held_out=False), choosing()),
    ("rule-best-needs-eval", choosing(every=None), choosing()),
    (
        "rule-stopping-needs-eval",
        choosing(held_out=False, early_stopping=STOPS),
        choosing(early_stopping=STOPS),
    ),
    ("rule-samples-unspoken", sampling("reward_model", "Hi"), sampling("chat_model", "Hi")),
    ("rule-samples-empty", sampling("chat_model"), sampling("chat_model", "Hi")),
]
