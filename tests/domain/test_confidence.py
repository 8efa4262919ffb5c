"""Averages, intervals and significance, against values worked out otherwise."""

import math
from statistics import NormalDist

import pytest

from domain.confidence import average, estimate, mcnemar, paired_bootstrap, resampled


def flags(right: int, of: int) -> list[tuple[float, float]]:
    return [(float(n < right), 1.0) for n in range(of)]


def test_strata_count_alike_whatever_their_size() -> None:
    assert average([flags(1, 4), flags(6, 6)]) == pytest.approx((0.25 + 1) / 2)
    assert average([[(2.0, 3.0), (6.0, 1.0)]]) == pytest.approx(3.0)


def test_the_interval_is_the_binomials() -> None:
    """Resampled shares are binomial, so the ends lie near the normal approximation."""
    found = estimate([flags(120, 400)], samples=4000, seed=1)
    spread = NormalDist().inv_cdf(0.975) * math.sqrt(0.3 * 0.7 / 400)
    assert found.value == pytest.approx(0.3)
    assert found.low == pytest.approx(0.3 - spread, abs=0.006)
    assert found.high == pytest.approx(0.3 + spread, abs=0.006)
    assert found.items == 400


def test_strata_are_redrawn_apart() -> None:
    """All right in one subject and all wrong in the other: no resample can differ."""
    found = estimate([flags(3, 3), flags(0, 5)], samples=200, seed=0)
    assert (found.low, found.value, found.high) == (0.5, 0.5, 0.5)


def test_the_same_seed_gives_the_same_resamples() -> None:
    stratum = [[(0.5, 2.0), (1.5, 1.0), (3.0, 4.0)]]
    assert resampled(stratum, 50, 3) == resampled(stratum, 50, 3)
    assert resampled(stratum, 50, 3) != resampled(stratum, 50, 4)


@pytest.mark.parametrize(
    ("gained", "lost", "p"),
    [
        (0, 0, 1.0),
        (5, 5, 1.0),
        (6, 0, 2 / 64),
        (9, 2, 2 * (1 + 11 + 55) / 2**11),
        (2, 9, 2 * (1 + 11 + 55) / 2**11),
    ],
)
def test_mcnemar_is_exact(gained: int, lost: int, p: float) -> None:
    assert mcnemar(gained, lost) == pytest.approx(p)


def test_mcnemar_takes_many_items() -> None:
    assert 0 < mcnemar(2600, 2400) < 0.01


def test_the_paired_bootstrap_tells_a_shift_from_noise() -> None:
    shifted = [[(-0.2 + 0.01 * (n % 5), 1.0 + n) for n in range(40)]]
    noise = [[((-1) ** n * 0.1, 1.0) for n in range(40)]]
    assert paired_bootstrap(shifted, samples=999, seed=0) == pytest.approx(2 / 1000)
    assert paired_bootstrap(noise, samples=999, seed=0) > 0.5
