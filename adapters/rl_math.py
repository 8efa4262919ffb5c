"""The arithmetic of learning from rewards, as pure functions of tensors.

Schulman et al. 2016, "High-Dimensional Continuous Control Using Generalized Advantage Estimation";
Schulman et al. 2017, "Proximal Policy Optimization Algorithms"; Ziegler et al. 2019, "Fine-Tuning
Language Models from Human Preferences"; Ouyang et al. 2022, "Training language models to follow
instructions with human feedback"; Shao et al. 2024, "DeepSeekMath"; Ahmadian et al. 2024, "Back to
Basics".

Shapes: S answers, T positions; a mask (S, T) is true where a position predicts a token of the
answer. Log-probabilities are in nats.
"""

from collections.abc import Mapping
from typing import Any, Literal

KlEstimator = Literal["k1", "k2", "k3"]

STEADY = 1e-4
"""Added to the standard deviation of a group, which is 0 where all its answers are worth the
same."""
KL_GAIN = 0.1
"""Share of an error that moves an adaptive weight (Ziegler et al. 2019, section 2.2)."""
KL_BOUND = 0.2
"""Larger relative errors count as this one (the same place)."""


def kl_estimate(kind: KlEstimator, logps: Any, reference: Any) -> Any:
    """KL(policy, reference) from tokens the policy drew (Schulman 2020, "Approximating KL").

    k1 = log p - log q has the right mean; k2 = (log p - log q)^2 / 2 is never negative;
    k3 = q/p - 1 - log(q/p) is both.
    """
    gap = logps - reference
    if kind == "k1":
        return gap
    return gap.square() / 2 if kind == "k2" else (-gap).exp() - 1 + gap


def adapted_kl_weight(weight: float, kl: float, target: float) -> float:
    """The next weight of the KL penalty (Ziegler et al. 2019, section 2.2)."""
    error = min(max((kl - target) / target, -KL_BOUND), KL_BOUND)
    return weight * (1 + KL_GAIN * error)


def token_rewards(scores: Any, penalties: Any, mask: Any) -> Any:
    """Rewards of tokens: the penalty of each, and an answer's score at its last one.

    Ouyang et al. 2022, eq. 2, whose sum over tokens is taken apart.
    """
    import torch

    rewards = torch.where(mask, -penalties, 0.0)
    positions = torch.arange(mask.shape[1], device=mask.device)
    last_S = (mask * positions).argmax(1)
    rewards[torch.arange(len(last_S), device=mask.device), last_S] += scores
    return rewards


def generalized_advantages(
    rewards: Any, values: Any, mask: Any, *, discount: float, decay: float
) -> Any:
    """Schulman et al. 2017, eq. 11 and 12: decayed sums of r_t + g V_(t+1) - V_t."""
    import torch

    found = torch.zeros_like(values)
    later, next_value = torch.zeros_like(values[:, 0]), torch.zeros_like(values[:, 0])
    for at in reversed(range(values.shape[1])):
        error = rewards[:, at] + discount * next_value - values[:, at]
        later = (error + discount * decay * later) * mask[:, at]
        next_value = values[:, at] * mask[:, at]
        found[:, at] = later
    return found


def whitened(values: Any, mask: Any, *, centred: bool = True) -> Any:
    """Values of deviation 1, and of mean 0 where `centred`, over the masked positions."""
    import torch

    chosen = values[mask]
    mean, deviation = chosen.mean(), chosen.std(correction=0)
    scaled = (values - mean) / (deviation + 1e-8) + (0.0 if centred else mean)
    return torch.where(mask, scaled, 0.0)


def clipped_policy(
    log_ratio: Any, advantages: Any, low: float, high: float | None = None
) -> tuple[Any, Any]:
    """(losses, where the clip decides): Schulman et al. 2017, eq. 7, with its sign turned.

    The bounds are 1 - low and 1 + high; with a `high` of its own as in Yu et al. 2025, "DAPO".
    """
    import torch

    ratio = log_ratio.exp()
    free = -advantages * ratio
    bound = -advantages * ratio.clamp(1 - low, 1 + (low if high is None else high))
    return torch.maximum(free, bound), bound > free


def clipped_value(values: Any, old: Any, returns: Any, clip: float) -> Any:
    """Half squared errors of values that may leave their old ones by `clip` for free.

    Schulman et al. 2017, eq. 9, with the clip of the authors' code.
    """
    import torch

    bound = old + (values - old).clamp(-clip, clip)
    return torch.maximum((values - returns).square(), (bound - returns).square()) / 2


def group_advantages(scores: Any, answers: int, scale: Literal["group", "batch", "none"]) -> Any:
    """Scores less the mean of the `answers` to the same prompt (Shao et al. 2024, section 4.1.2).

    They are divided by the group's deviation, by that of all scores, or not at all, which leaves
    hard and easy prompts their weights (Liu et al. 2025, "Understanding R1-Zero-Like Training").
    """
    scores_PA = scores.view(-1, answers)
    gaps_PA = scores_PA - scores_PA.mean(1, keepdim=True)
    if scale == "group":
        gaps_PA = gaps_PA / (scores_PA.std(1, keepdim=True) + STEADY)
    if scale == "batch":
        gaps_PA = gaps_PA / (scores.std() + STEADY)
    return gaps_PA.flatten()


def leave_one_out(scores: Any, answers: int) -> Any:
    """Scores less the mean of the prompt's other answers (Ahmadian et al. 2024, eq. 7)."""
    scores_PA = scores.view(-1, answers)
    others_PA = (scores_PA.sum(1, keepdim=True) - scores_PA) / (answers - 1)
    return (scores_PA - others_PA).flatten()


LossMean = Literal["grpo", "dapo", "dr_grpo"]


def share(kind: LossMean, mask: Any, whole: Mapping[str, float]) -> Any:
    """What each token's loss is multiplied by, so that the sum is a step's loss.

    grpo: the mean of answers' means (Shao et al. 2024, eq. 3). dapo: the mean over all tokens (Yu
    et al. 2025, eq. 8). dr_grpo: the sum over tokens, by the longest answer there may be (Liu et
    al. 2025). `whole` counts answers, tokens and most_tokens of the whole update.
    """
    if kind == "grpo":
        return mask / (mask.sum(1, keepdim=True).clamp(min=1) * whole["answers"])
    if kind == "dapo":
        return mask / whole["tokens"]
    return mask / (whole["answers"] * whole["most_tokens"])
