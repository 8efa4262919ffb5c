"""Losses over pairs of answers, as pure functions of log-probabilities.

Shapes: N pairs. `chosen` and `rejected` are what the policy's log-probability of the better and the
worse answer gained over the reference model's: log pi(y|x) - log pi_ref(y|x), in nats; beta scales
them to rewards. Every loss is (N,).

Sources: DPO, sigmoid (Rafailov et al. 2023, eq. 7) with label smoothing (Mitchell 2023); hinge
(Zhao et al. 2023, SLiC); IPO (Azar et al. 2023, eq. 17), on log-probabilities averaged over tokens;
robust (Chowdhury et al. 2024, eq. 11); EXO (Ji et al. 2024, eq. 16); NCA (Chen et al. 2024, eq. 11
for two answers); BCO without its moving baseline (Jung et al. 2024); SPPO hard (Wu et al. 2024, eq.
4.7); APO zero and down (D'Oosterlinck et al. 2024, eqs. 7 and 8); DiscoPOP (Lu et al. 2024, eq. 5);
AOT, paired and unpaired (Melnyk et al. 2024), whose quantiles are those of a pass.
"""

from collections.abc import Callable, Mapping
from typing import Any

DISCOPOP_TEMPERATURE = 0.05

Loss = Callable[[Any, Any, float, float], Any]
"""(chosen, rejected, beta, label smoothing) to (N,)."""


def _log_sigmoid(value: Any) -> Any:
    import torch

    return torch.nn.functional.logsigmoid(value)


def sigmoid(chosen: Any, rejected: Any, beta: float, smoothing: float) -> Any:
    """-(1 - e) log s(beta d) - e log s(-beta d), where d = chosen - rejected."""
    margin = beta * (chosen - rejected)
    return -(1 - smoothing) * _log_sigmoid(margin) - smoothing * _log_sigmoid(-margin)


def hinge(chosen: Any, rejected: Any, beta: float, smoothing: float) -> Any:
    """max(0, 1 - beta d)."""
    return (1 - beta * (chosen - rejected)).clamp(min=0)


def ipo(chosen: Any, rejected: Any, beta: float, smoothing: float) -> Any:
    """(d - 1 / (2 beta))^2; the log-probabilities are means over an answer's tokens."""
    return (chosen - rejected - 1 / (2 * beta)) ** 2


def robust(chosen: Any, rejected: Any, beta: float, smoothing: float) -> Any:
    """The sigmoid loss made unbiased under labels flipped with probability e < 1/2."""
    margin = beta * (chosen - rejected)
    clean = -(1 - smoothing) * _log_sigmoid(margin) + smoothing * _log_sigmoid(-margin)
    return clean / (1 - 2 * smoothing)


def exo_pair(chosen: Any, rejected: Any, beta: float, smoothing: float) -> Any:
    """KL of (s(beta d), s(-beta d)) from (1 - e, e)."""
    import math

    margin = beta * (chosen - rejected)
    won, lost = margin.sigmoid(), (-margin).sigmoid()
    first = won * (_log_sigmoid(margin) - math.log1p(-smoothing))
    return first + lost * (_log_sigmoid(-margin) - math.log(smoothing))


def nca_pair(chosen: Any, rejected: Any, beta: float, smoothing: float) -> Any:
    """-log s(r+) - (log s(-r+) + log s(-r-)) / 2 with rewards r = beta * gain."""
    better, worse = beta * chosen, beta * rejected
    return -_log_sigmoid(better) - (_log_sigmoid(-better) + _log_sigmoid(-worse)) / 2


def bco_pair(chosen: Any, rejected: Any, beta: float, smoothing: float) -> Any:
    """-log s(r+) - log s(-r-)."""
    return -_log_sigmoid(beta * chosen) - _log_sigmoid(-beta * rejected)


def sppo_hard(chosen: Any, rejected: Any, beta: float, smoothing: float) -> Any:
    """(gain+ - 1 / (2 beta))^2 + (gain- + 1 / (2 beta))^2."""
    target = 1 / (2 * beta)
    return (chosen - target) ** 2 + (rejected + target) ** 2


def aot_unpaired(chosen: Any, rejected: Any, beta: float, smoothing: float) -> Any:
    """The sigmoid loss between the quantiles of a pass's better and worse answers."""
    return sigmoid(chosen.sort().values, rejected.sort().values, beta, smoothing)


def aot(policy: Any, reference: Any, beta: float, smoothing: float) -> Any:
    """The same between the quantiles of gaps log p(better) - log p(worse): the policy's and the
    reference model's."""
    return aot_unpaired(policy, reference, beta, smoothing)


def apo_zero(chosen: Any, rejected: Any, beta: float, smoothing: float) -> Any:
    """1 - s(r+) + s(r-): better answers up, worse ones down."""
    return 1 - (beta * chosen).sigmoid() + (beta * rejected).sigmoid()


def apo_down(chosen: Any, rejected: Any, beta: float, smoothing: float) -> Any:
    """s(r+) + 1 - s(beta d): both down, worse answers further."""
    return (beta * chosen).sigmoid() + 1 - (beta * (chosen - rejected)).sigmoid()


def discopop(chosen: Any, rejected: Any, beta: float, smoothing: float) -> Any:
    """(1 - w) log(1 + exp(-m)) + w exp(-m) with m = beta d and w = s(m / tau)."""
    margin = beta * (chosen - rejected)
    blend = (margin / DISCOPOP_TEMPERATURE).sigmoid()
    return -(1 - blend) * _log_sigmoid(margin) + blend * (-margin).exp()


LOSSES: Mapping[str, Loss] = {
    loss.__name__: loss
    for loss in (
        sigmoid,
        hinge,
        ipo,
        robust,
        exo_pair,
        nca_pair,
        bco_pair,
        sppo_hard,
        aot,
        aot_unpaired,
        apo_zero,
        apo_down,
        discopop,
    )
}
"""Losses by the names specs use."""


def bradley_terry(chosen: Any, rejected: Any, center_weight: float) -> Any:
    """Reward modelling on scores (N,), which `center_weight` (Eisenstein et al. 2023) keeps near 0.

    -log s(r+ - r-) + c (r+ + r-)^2.
    """
    return -_log_sigmoid(chosen - rejected) + center_weight * (chosen + rejected) ** 2


def odds_ratio(chosen: Any, rejected: Any) -> Any:
    """ORPO (Hong et al. 2024, eq. 7): -log s of the log odds ratio of mean log-probabilities."""
    import torch

    # log(1 - p) by expm1: a probability near 1 has no 1 - p left in float32
    odds = chosen - rejected - torch.log(-chosen.expm1()) + torch.log(-rejected.expm1())
    return -_log_sigmoid(odds)


def simple_margin(chosen: Any, rejected: Any, beta: float, margin: float, smoothing: float) -> Any:
    """SimPO (Meng et al. 2024, eq. 6) on mean log-probabilities; `margin` is its gamma."""
    gap = beta * (chosen - rejected) - margin
    return -(1 - smoothing) * _log_sigmoid(gap) - smoothing * _log_sigmoid(-gap)


def prospect(
    gain: Any, liked: Any, baseline: Any, *, beta: float, desirable: float, undesirable: float
) -> Any:
    """KTO (Ethayarajh et al. 2024, eq. 7) for answers that were liked or not.

    `gain` of shape (N,) as above, `liked` (N,) booleans, `baseline` the batch's estimate of the KL
    divergence from the reference model, in nats, at least 0.
    """
    import torch

    up = desirable * (1 - (beta * (gain - baseline)).sigmoid())
    down = undesirable * (1 - (beta * (baseline - gain)).sigmoid())
    return torch.where(liked, up, down)
