"""Losses over answers: closed forms on hand-made log-probabilities, gradients, and TRL's own."""

import math
from typing import Any

import pytest

from adapters.preference_losses import (
    DISCOPOP_TEMPERATURE,
    LOSSES,
    odds_ratio,
    prospect,
    simple_margin,
)

CHOSEN, REJECTED = (0.7, -1.2, 0.0), (-0.4, 0.9, 0.0)
BETA, SMOOTHING = 0.3, 0.1


def s(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def closed_form(name: str, c: float, r: float, b: float, e: float) -> float:
    """The loss of one pair by the papers' formulas, in plain Python."""
    m = b * (c - r)
    won, lost, w = s(m), s(-m), s(m / DISCOPOP_TEMPERATURE)
    return {
        "sigmoid": -(1 - e) * math.log(won) - e * math.log(lost),
        "hinge": max(0.0, 1 - m),
        "ipo": (c - r - 1 / (2 * b)) ** 2,
        "robust": (-(1 - e) * math.log(won) + e * math.log(lost)) / (1 - 2 * e),
        "exo_pair": won * math.log(won / (1 - e)) + lost * math.log(lost / e),
        "nca_pair": -math.log(s(b * c)) - 0.5 * (math.log(s(-b * c)) + math.log(s(-b * r))),
        "bco_pair": -math.log(s(b * c)) - math.log(s(-b * r)),
        "sppo_hard": (c - 0.5 / b) ** 2 + (r + 0.5 / b) ** 2,
        "apo_zero": 1 - s(b * c) + s(b * r),
        "apo_down": s(b * c) + 1 - s(m),
        "discopop": (1 - w) * -math.log(won) + w * math.exp(-m),
    }[name]


def pairs() -> tuple[Any, Any]:
    import torch

    return torch.tensor(CHOSEN).double(), torch.tensor(REJECTED).double()


@pytest.mark.parametrize("name", [name for name in LOSSES if not name.startswith("aot")])
def test_a_loss_is_its_closed_form(name: str) -> None:
    chosen, rejected = pairs()
    found = LOSSES[name](chosen, rejected, BETA, SMOOTHING)
    expected = [
        closed_form(name, c, r, BETA, SMOOTHING) for c, r in zip(CHOSEN, REJECTED, strict=True)
    ]
    assert found.tolist() == pytest.approx(expected, rel=1e-6)


def test_aot_compares_quantiles() -> None:
    chosen, rejected = pairs()
    found = LOSSES["aot_unpaired"](chosen, rejected, BETA, SMOOTHING)
    expected = [
        closed_form("sigmoid", c, r, BETA, SMOOTHING)
        for c, r in zip(sorted(CHOSEN), sorted(REJECTED), strict=True)
    ]
    assert found.tolist() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", list(LOSSES))
def test_gradients_are_those_of_the_loss(name: str) -> None:
    import torch

    chosen, rejected = (each.requires_grad_(True) for each in pairs())
    assert torch.autograd.gradcheck(
        lambda c, r: LOSSES[name](c, r, BETA, SMOOTHING), (chosen, rejected)
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sigmoid", math.log(2)),
        ("hinge", 1.0),
        ("ipo", 25.0),
        ("nca_pair", 2 * math.log(2)),
        ("bco_pair", 2 * math.log(2)),
        ("sppo_hard", 50.0),
        ("apo_zero", 1.0),
        ("apo_down", 1.0),
    ],
)
def test_before_the_first_step_a_loss_has_its_known_value(name: str, value: float) -> None:
    import torch

    nothing = torch.zeros(4, dtype=torch.float64)
    assert LOSSES[name](nothing, nothing, 0.1, 0.0).tolist() == pytest.approx([value] * 4)


def test_the_odds_ratio_is_its_closed_form() -> None:
    import torch

    c, r = -0.5, -1.5
    odds = math.log(math.exp(c) / (1 - math.exp(c))) - math.log(math.exp(r) / (1 - math.exp(r)))
    found = odds_ratio(torch.tensor([c]).double(), torch.tensor([r]).double())
    assert found.item() == pytest.approx(-math.log(s(odds)))


def test_the_simple_margin_is_its_closed_form() -> None:
    import torch

    found = simple_margin(torch.tensor([-0.5]), torch.tensor([-0.8]), 2.0, 0.5, 0.1)
    gap = 2.0 * 0.3 - 0.5
    assert found.item() == pytest.approx(
        -0.9 * math.log(s(gap)) - 0.1 * math.log(s(-gap)), rel=1e-5
    )


def test_prospect_theory_weighs_gains_and_losses_apart() -> None:
    import torch

    gain, liked = torch.tensor([0.4, 0.4]).double(), torch.tensor([True, False])
    baseline = torch.tensor(0.1).double()
    found = prospect(gain, liked, baseline, beta=0.5, desirable=2.0, undesirable=3.0)
    expected = [2.0 * (1 - s(0.5 * 0.3)), 3.0 * (1 - s(-0.5 * 0.3))]
    assert found.tolist() == pytest.approx(expected)


def test_the_objective_measures_answers_from_the_reference() -> None:
    import torch

    from adapters.answers import Answers
    from adapters.stages import dpo

    policy = torch.tensor([-3.0, -5.0, -4.0, -4.5]), torch.tensor([3, 4, 5, 2])
    start = torch.tensor([-3.5, -4.0, -3.8, -4.1]), torch.tensor([3, 4, 5, 2])
    judged = dpo.objective(dpo.Options(beta=0.2, label_smoothing=0.1))(
        {}, lambda _: Answers(*policy), lambda _: Answers(*start)
    )
    gains = [(a - b).item() for a, b in zip(policy[0], start[0], strict=True)]
    expected = [closed_form("sigmoid", gains[n], gains[n + 2], 0.2, 0.1) for n in (0, 1)]
    assert judged.losses.tolist() == pytest.approx(expected, rel=1e-5)
    assert judged.figures["rewards/chosen"].tolist() == pytest.approx([0.2 * g for g in gains[:2]])
