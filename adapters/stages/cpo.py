"""CPO: preference without a reference model, beside cloning of the chosen answer (Xu et al. 2024).

A loss of the summed log-probabilities (eq. 3) plus the chosen answer's cross entropy, here a mean
over its tokens. With `loss: simpo` the means are compared, by a margin (CPO-SimPO).
"""

from collections.abc import Mapping
from typing import Any, Literal

from adapters.answers import Judged, Run, halves
from adapters.preference_losses import Loss, hinge, ipo, sigmoid, simple_margin
from adapters.stages import Parts
from adapters.stages.dpo import figures, pair_trainer
from domain.dataset import DatasetKind
from domain.errors import Place, fail
from domain.fingerprint import Json
from domain.section import limited, options_of, section
from domain.stage import CHATTING, TrainingStage

STAGE = TrainingStage(
    name="cpo",
    title="contrastive preference optimization",
    eats=DatasetKind.PREFERENCE,
    yields="chat_model",
    follows=CHATTING | {"pretrain"},
)


@section
class Options:
    """Options of stage cpo."""

    loss: Literal["sigmoid", "hinge", "ipo", "simpo"] = "sigmoid"
    """The loss over the difference of the answers' log-probabilities; simpo compares means."""
    beta: float = limited(0.1, gt=0)
    """Scale of the log-probabilities; with simpo usually 2 or more."""
    margin_ratio: float = limited(0.25, ge=0)
    """Only simpo: the margin rewards shall differ by, as a share of beta (gamma / beta)."""
    sft_weight: float = limited(1.0, ge=0)
    """Weight of the chosen answer's cross entropy, per token."""
    label_smoothing: float = limited(0.0, ge=0, lt=0.5)
    """Share of the pairs taken to be the wrong way round."""


UNSMOOTHED: Mapping[str, Loss] = {"hinge": hinge, "ipo": ipo}
"""Losses without label smoothing."""


def check(values: Mapping[str, Json]) -> None:
    """Raises HextuneError for label smoothing of a loss that has none."""
    options = options_of(Options, values)
    if options.label_smoothing and options.loss in UNSMOOTHED:
        place = Place(field="stage.label_smoothing")
        raise fail("rule-smoothing-unused", place, loss=options.loss, fits="sigmoid, simpo")


def objective(options: Options) -> Any:
    """Loss and figures of a batch of pairs."""

    def judge(batch: Mapping[str, Any], policy: Run, reference: Run | None) -> Judged:
        chosen, rejected = halves(policy(batch))
        smoothing = options.label_smoothing
        if options.loss == "simpo":
            better, worse = chosen.mean, rejected.mean
            margin = options.margin_ratio * options.beta
            losses = simple_margin(better, worse, options.beta, margin, smoothing)
        else:
            better, worse = chosen.total, rejected.total
            loss_of = UNSMOOTHED.get(options.loss, sigmoid)
            losses = loss_of(better, worse, options.beta, smoothing)
        losses = losses - options.sft_weight * chosen.mean
        rewards = [options.beta * each.detach() for each in (better, worse)]
        return Judged(losses, figures(*rewards))

    return judge


def build_trainer(parts: Parts) -> Any:
    """A trainer over pairs."""
    return pair_trainer(parts, objective(options_of(Options, parts.options)))
