"""ORPO: supervised fine-tuning on the chosen answer with an odds-ratio penalty on the rejected one.

Hong et al. 2024, eqs. 6 and 7; there is no reference model.
"""

from collections.abc import Mapping
from typing import Any

from adapters.answers import Judged, Run, halves
from adapters.preference_losses import odds_ratio
from adapters.stages import Parts
from adapters.stages.dpo import figures, pair_trainer
from domain.dataset import DatasetKind
from domain.fingerprint import Json
from domain.section import limited, options_of, section
from domain.stage import CHATTING, TrainingStage

STAGE = TrainingStage(
    name="orpo",
    title="odds-ratio preference optimization",
    eats=DatasetKind.PREFERENCE,
    yields="chat_model",
    follows=CHATTING | {"pretrain"},
)


@section
class Options:
    """Options of stage orpo."""

    weight: float = limited(0.1, ge=0)
    """Weight of the odds-ratio term beside the chosen answer's cross entropy (lambda)."""


def check(values: Mapping[str, Json]) -> None:
    """No options contradict each other."""


def objective(options: Options) -> Any:
    """Loss and figures of a batch of pairs."""

    def judge(batch: Mapping[str, Any], policy: Run, reference: Run | None) -> Judged:
        chosen, rejected = halves(policy(batch))
        losses = options.weight * odds_ratio(chosen.mean, rejected.mean) - chosen.mean
        rewards = [options.weight * each.mean.detach() for each in (chosen, rejected)]
        return Judged(losses, figures(*rewards))

    return judge


def build_trainer(parts: Parts) -> Any:
    """A trainer over pairs."""
    return pair_trainer(parts, objective(options_of(Options, parts.options)))
