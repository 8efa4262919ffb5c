"""GRPO: several answers to a prompt are compared with each other, without a value head.

Shao et al. 2024, "DeepSeekMath", eq. 3 and 4: an answer's advantage is its score in its group, and
the k3 estimate of the divergence is part of the loss. dapo and dr_grpo weigh tokens otherwise (Yu
et al. 2025, "DAPO", eq. 8; Liu et al. 2025, "Understanding R1-Zero-Like Training").
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from adapters.rl_math import LossMean, clipped_policy, group_advantages, kl_estimate, share
from adapters.rollout_stage import RolloutOptions, check_rollouts, rollout_trainer
from adapters.rollouts import Rollouts
from adapters.stages import Parts
from domain.dataset import DatasetKind
from domain.fingerprint import Json
from domain.section import limited, options_of, section
from domain.stage import CHATTING, TrainingStage

STAGE = TrainingStage(
    name="grpo",
    title="group relative policy optimization",
    eats=DatasetKind.PROMPT,
    yields="chat_model",
    follows=CHATTING | {"pretrain"},
    needs_reference=True,
)


@section
class Options(RolloutOptions):
    """Options of stage grpo."""

    generations: int = limited(8, ge=2)
    """Answers to each prompt in a step, which are compared."""
    loss: LossMean = "grpo"
    """How tokens count: grpo gives each answer the same weight, dapo each token, dr_grpo each token
    by the longest answer there may be."""
    scale: Literal["group", "batch", "none"] = "group"
    """What scores are divided by: the deviation of their group, of all scores, or nothing."""
    clip: float = limited(0.2, gt=0)
    """How far below 1 the ratio to the policy that wrote the answers may go; above too, where
    clip_high is not set."""
    clip_high: float | None = limited(None, gt=0)
    """How far above 1, such as 0.28 (clip-higher of DAPO)."""


def check(values: Mapping[str, Json]) -> None:
    """Raises HextuneError for rewards that cannot work."""
    check_rollouts(options_of(Options, values))


@dataclass(frozen=True, slots=True)
class Grpo:
    """Implements adapters.rollout_trainer.Learning."""

    options: Options
    kl_weight: float
    has_values: bool = False

    def credit(self, found: Rollouts, kl_weight: float) -> Rollouts:
        """Every token of an answer has the answer's advantage."""
        options = self.options
        gained_S = group_advantages(found.scores, options.generations, options.scale)
        return replace(found, advantages=gained_S[:, None] * found.answer)

    def loss(
        self, part: Rollouts, logps: Any, values: Any, whole: Mapping[str, float]
    ) -> tuple[Any, Mapping[str, Any]]:
        """The clipped loss and the weighted divergence of tokens, averaged as `loss` says."""
        options, mask = self.options, part.answer
        losses, clipped = clipped_policy(
            logps - part.old, part.advantages, options.clip, options.clip_high
        )
        if part.reference is not None:
            losses = losses + self.kl_weight * kl_estimate("k3", logps, part.reference)
        loss = (losses * share(options.loss, mask, whole)).sum()
        return loss, {"rollouts/clipped": clipped[mask].float().mean()}


def build_trainer(parts: Parts) -> Any:
    """A trainer over prompts."""
    options = options_of(Options, parts.options)
    return rollout_trainer(parts, options, Grpo(options, options.kl_weight))
