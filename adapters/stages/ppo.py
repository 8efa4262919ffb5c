"""PPO: the policy learns from rewards, a value head says what was to be expected.

Schulman et al. 2017, "Proximal Policy Optimization Algorithms", as in Ouyang et al. 2022, "Training
language models to follow instructions with human feedback": each token costs its divergence from
the reference, and the answer's score falls on its last token (eq. 2 there). The value head stands
on the policy's own hidden states, so policy and value are one network (eq. 9 of Schulman et al.).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from adapters.rl_math import (
    KlEstimator,
    clipped_policy,
    clipped_value,
    generalized_advantages,
    kl_estimate,
    token_rewards,
    whitened,
)
from adapters.rollout_stage import RolloutOptions, check_rollouts, rollout_trainer
from adapters.rollouts import Rollouts
from adapters.stages import Parts
from domain.dataset import DatasetKind
from domain.errors import Place, fail
from domain.fingerprint import Json
from domain.section import limited, options_of, section
from domain.stage import CHATTING, TrainingStage

STAGE = TrainingStage(
    name="ppo",
    title="proximal policy optimization",
    eats=DatasetKind.PROMPT,
    yields="chat_model",
    follows=CHATTING | {"pretrain"},
    needs_reference=True,
    value_head=True,
)


@section
class Options(RolloutOptions):
    """Options of stage ppo."""

    generations: int = limited(1, ge=1)
    """Answers to each prompt in a step."""
    epochs: int = limited(4, ge=1)
    """Passes over the answers of a step."""
    kl_estimator: KlEstimator = "k1"
    """Estimate of a token's divergence: k1, k2 (never negative), or k3 (both)."""
    kl_target: float | None = limited(None, gt=0)
    """Divergence of an answer, in nats, that kl_weight is steered for; it is fixed where not
    set."""
    discount: float = limited(1.0, gt=0, le=1)
    """What a reward is worth one token earlier (gamma)."""
    decay: float = limited(0.95, ge=0, le=1)
    """How far advantages look ahead: 0 trusts the value head, 1 the rewards (lambda of GAE)."""
    clip: float = limited(0.2, gt=0)
    """How far the ratio to the policy that wrote the answers may go before it gains nothing."""
    value_clip: float = limited(0.2, gt=0)
    """How far a value may go from what it was when the answers were written."""
    value_weight: float = limited(0.1, ge=0)
    """Weight of the value head's loss."""
    whiten_rewards: bool = False
    """Scale the rewards of a step to deviation 1, their mean left as it is."""
    whiten_advantages: bool = True
    """Scale the advantages of a step to mean 0 and deviation 1."""


def check(values: Mapping[str, Json]) -> None:
    """Raises HextuneError for rewards that cannot work and a target without a penalty."""
    options = options_of(Options, values)
    if options.kl_target is not None and not options.kl_weight:
        raise fail("rule-rl-target", Place(field="stage.kl_target"))
    check_rollouts(options)


@dataclass(frozen=True, slots=True)
class Ppo:
    """Implements adapters.rollout_trainer.Learning."""

    options: Options
    has_values: bool = True

    def credit(self, found: Rollouts, kl_weight: float) -> Rollouts:
        """Generalized advantages of penalized rewards, and what the values should have been."""
        options, mask = self.options, found.answer
        penalties = found.values.new_zeros(mask.shape)
        if found.reference is not None:
            estimate = kl_estimate(options.kl_estimator, found.old, found.reference)
            penalties = kl_weight * estimate
        rewards = token_rewards(found.scores, penalties, mask)
        if options.whiten_rewards:
            rewards = whitened(rewards, mask, centred=False)
        advantages = generalized_advantages(
            rewards, found.values, mask, discount=options.discount, decay=options.decay
        )
        returns = advantages + found.values
        if options.whiten_advantages:
            advantages = whitened(advantages, mask)
        return replace(found, advantages=advantages, returns=returns)

    def loss(
        self, part: Rollouts, logps: Any, values: Any, whole: Mapping[str, float]
    ) -> tuple[Any, Mapping[str, Any]]:
        """The mean over an update's tokens of both clipped losses."""
        options, mask = self.options, part.answer
        policy, clipped = clipped_policy(logps - part.old, part.advantages, options.clip)
        value = clipped_value(values, part.values, part.returns, options.value_clip)
        loss = ((policy + options.value_weight * value) * mask).sum() / whole["tokens"]
        return loss, {
            "rollouts/clipped": clipped[mask].float().mean(),
            "rollouts/value_loss": value.detach()[mask].mean(),
        }


def build_trainer(parts: Parts) -> Any:
    """A trainer over prompts, its network with a value head."""
    options = options_of(Options, parts.options)
    return rollout_trainer(parts, options, Ppo(options), kl_target=options.kl_target)
