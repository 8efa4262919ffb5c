"""SimPO: the mean log-probability itself is the reward, with a target margin (Meng et al. 2024).

Eq. 6; there is no reference model.
"""

from collections.abc import Mapping
from typing import Any

from adapters.answers import Judged, Run, halves
from adapters.preference_losses import simple_margin
from adapters.stages import Parts
from adapters.stages.dpo import figures, pair_trainer
from domain.dataset import DatasetKind
from domain.fingerprint import Json
from domain.section import limited, options_of, section
from domain.stage import CHATTING, TrainingStage

STAGE = TrainingStage(
    name="simpo",
    title="simple preference optimization",
    eats=DatasetKind.PREFERENCE,
    yields="chat_model",
    follows=CHATTING | {"pretrain"},
)


@section
class Options:
    """Options of stage simpo."""

    beta: float = limited(2.0, gt=0)
    """Scale of the mean log-probabilities."""
    margin_ratio: float = limited(0.25, ge=0)
    """The margin rewards shall differ by, as a share of beta (gamma / beta)."""
    label_smoothing: float = limited(0.0, ge=0, lt=0.5)
    """Share of the pairs taken to be the wrong way round."""


def check(values: Mapping[str, Json]) -> None:
    """No options contradict each other."""


def objective(options: Options) -> Any:
    """Loss and figures of a batch of pairs."""
    margin = options.margin_ratio * options.beta

    def judge(batch: Mapping[str, Any], policy: Run, reference: Run | None) -> Judged:
        chosen, rejected = (each.mean for each in halves(policy(batch)))
        losses = simple_margin(chosen, rejected, options.beta, margin, options.label_smoothing)
        return Judged(
            losses, figures(options.beta * chosen.detach(), options.beta * rejected.detach())
        )

    return judge


def build_trainer(parts: Parts) -> Any:
    """A trainer over pairs."""
    return pair_trainer(parts, objective(options_of(Options, parts.options)))
