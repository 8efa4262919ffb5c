"""How sure a figure is: bootstrap intervals, and whether two models differ on the same items.

Percentile bootstrap (Efron and Tibshirani 1993, chapter 13), resampled within strata where an
average goes over subjects; the exact test of McNemar (1947) for right and wrong; the paired
bootstrap for anything else.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from statistics import fmean

TAIL = 0.025
"""Share of the resamples beyond each end of a 95% interval."""

Stratum = Sequence[tuple[float, float]]
"""(value, weight) of items that are averaged by weight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """An average and its 95% interval."""

    value: float
    """The average."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""
    items: int
    """Items behind it."""

    def mapped(self, shown: Callable[[float], float]) -> "Estimate":
        """The estimate of a rising function of the average."""
        ends = (shown(self.value), shown(self.low), shown(self.high))
        return Estimate(value=ends[0], low=ends[1], high=ends[2], items=self.items)


def average(strata: Sequence[Stratum]) -> float:
    """The mean over strata of each one's weighted mean."""
    return fmean(map(_weighted_mean, strata))


def estimate(strata: Sequence[Stratum], *, samples: int, seed: int) -> Estimate:
    """The average with its interval; items are redrawn within their stratum."""
    found = resampled(strata, samples, seed)
    cut = int(TAIL * samples)
    return Estimate(
        value=average(strata),
        low=found[cut],
        high=found[-1 - cut],
        items=sum(map(len, strata)),
    )


def resampled(strata: Sequence[Stratum], samples: int, seed: int) -> list[float]:
    """The average of each resample, sorted; the same seed gives the same ones."""
    random = Random(seed)
    redraws = [_redraw(stratum, random) for stratum in strata]
    return sorted(fmean(redraw() for redraw in redraws) for _ in range(samples))


def mcnemar(gained: int, lost: int) -> float:
    """Two-sided exact p-value that two models are equally often right, by what they differ on."""
    differing = gained + lost
    tail = sum(math.comb(differing, n) for n in range(min(gained, lost) + 1))
    return min(1.0, 2 * tail / (1 << differing))


def paired_bootstrap(strata: Sequence[Stratum], *, samples: int, seed: int) -> float:
    """Two-sided p-value that the average difference is 0; `strata` hold differences.

    One is added to both counts (Davison and Hinkley 1997, section 4.2), so that it is never 0.
    """
    found = resampled(strata, samples, seed)
    below = sum(value <= 0 for value in found)
    above = sum(value >= 0 for value in found)
    return min(1.0, 2 * (min(below, above) + 1) / (samples + 1))


def _weighted_mean(stratum: Stratum) -> float:
    return math.fsum(v * w for v, w in stratum) / math.fsum(w for _, w in stratum)


def _redraw(stratum: Stratum, random: Random) -> Callable[[], float]:
    """Draws a resample of a stratum and gives its mean; equal weights take half the time."""
    count = len(stratum)
    if len({weight for _, weight in stratum}) == 1:
        values = [value for value, _ in stratum]
        return lambda: sum(random.choices(values, k=count)) / count
    return lambda: _weighted_mean(random.choices(stratum, k=count))
