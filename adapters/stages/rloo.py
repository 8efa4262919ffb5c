"""RLOO: an answer is worth its score less the mean score of the other answers to its prompt.

Ahmadian et al. 2024, "Back to Basics: Revisiting REINFORCE Style Optimization", eq. 7: an answer is
one action, and its divergence from the reference is part of its score. With several updates a step,
the ratio of whole answers is clipped as in PPO; in the first one its gradient is REINFORCE's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from adapters.rl_math import clipped_policy, leave_one_out
from adapters.rollout_stage import RolloutOptions, check_rollouts, rollout_trainer
from adapters.rollouts import Rollouts
from adapters.stages import Parts
from domain.dataset import DatasetKind
from domain.fingerprint import Json
from domain.section import limited, options_of, section
from domain.stage import CHATTING, TrainingStage

STAGE = TrainingStage(
    name="rloo",
    title="REINFORCE leave-one-out",
    eats=DatasetKind.PROMPT,
    yields="chat_model",
    follows=CHATTING | {"pretrain"},
    needs_reference=True,
)


@section
class Options(RolloutOptions):
    """Options of stage rloo."""

    generations: int = limited(4, ge=2)
    """Answers to each prompt in a step, each compared with the others."""
    clip: float = limited(0.2, gt=0)
    """How far the ratio of a whole answer may go from 1 before it gains nothing."""
    scale: bool = False
    """Divide the advantages of a step by their deviation."""


def check(values: Mapping[str, Json]) -> None:
    """Raises HextuneError for rewards that cannot work."""
    check_rollouts(options_of(Options, values))


@dataclass(frozen=True, slots=True)
class Rloo:
    """Implements adapters.rollout_trainer.Learning."""

    options: Options
    has_values: bool = False

    def credit(self, found: Rollouts, kl_weight: float) -> Rollouts:
        """Every token of an answer has the answer's advantage."""
        scores_S = found.scores
        if found.reference is not None:
            scores_S = scores_S - kl_weight * found.kl
        gained_S = leave_one_out(scores_S, self.options.generations)
        if self.options.scale:
            gained_S = gained_S / (gained_S.std(correction=0) + 1e-8)
        return replace(found, advantages=gained_S[:, None] * found.answer)

    def loss(
        self, part: Rollouts, logps: Any, values: Any, whole: Mapping[str, float]
    ) -> tuple[Any, Mapping[str, Any]]:
        """The mean over answers of their clipped loss."""
        log_ratio_B = ((logps - part.old) * part.answer).sum(1)
        gained_B = part.advantages.gather(1, part.answer.int().argmax(1, keepdim=True))[:, 0]
        losses_B, clipped_B = clipped_policy(log_ratio_B, gained_B, self.options.clip)
        return losses_B.sum() / whole["answers"], {"rollouts/clipped": clipped_B.float().mean()}


def build_trainer(parts: Parts) -> Any:
    """A trainer over prompts."""
    options = options_of(Options, parts.options)
    return rollout_trainer(parts, options, Rloo(options))
