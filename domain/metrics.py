"""Series of numbers over steps: smoothed, thinned for a narrow screen, and watched for trouble.

Smoothing is the exponential moving average with Adam's bias correction (Kingma and Ba 2015,
section 3): s_t = (1 - w) * sum_i w^(t - i) x_i / (1 - w^t).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, median
from typing import NamedTuple

SMOOTHING = 0.9
"""Weight of the past in a smoothed curve: about the last ten readings count."""
SPIKE_WINDOW = 20
"""Readings before a spike that say what is usual."""
SPIKE_DEVIATIONS = 8.0
"""Median absolute deviations above the usual that make a spike; noise stays below."""
SPIKE_RATIO = 1.5
"""A spike also is this many times the usual: flat curves have a deviation near 0."""
PLATEAU_WINDOW = 40
"""Readings whose mean is compared with the mean of as many before them."""
PLATEAU_GAIN = 0.005
"""Share of the loss that must be gained from one window to the next."""


class Point(NamedTuple):
    """A reading."""

    step: int
    value: float


class AlertKind(StrEnum):
    """What deserves a look."""

    NOT_FINITE = "not_finite"
    """The loss is NaN or infinite."""
    LOSS_SPIKE = "loss_spike"
    """The loss jumped."""
    GRADIENT_SPIKE = "gradient_spike"
    """The gradient norm jumped."""
    PLATEAU = "plateau"
    """The loss has stopped falling."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something about a curve that deserves a look."""

    kind: AlertKind
    """What."""
    step: int
    """Where it shows."""
    value: float
    """The reading there; for a plateau, the mean of the last window."""


def smooth(points: Sequence[Point], weight: float = SMOOTHING) -> list[Point]:
    """The smoothed curve, a point for every finite reading. `weight` is in [0, 1)."""
    average, correction = 0.0, 1.0
    smoothed = []
    for step, value in points:
        if math.isfinite(value):
            average = weight * average + (1 - weight) * value
            correction *= weight
            smoothed.append(Point(step, average / (1 - correction)))
    return smoothed


def downsample(points: Sequence[Point], columns: int) -> list[Point]:
    """At most two points for each of `columns` equal ranges of steps: its lowest and highest.

    Steps must not fall. Points that stay keep their order, so a line through them touches every
    extreme of the whole series. Readings that are not finite are left out.
    """
    finite = [point for point in points if math.isfinite(point.value)]
    if len(finite) <= columns:
        return finite
    first, steps = finite[0].step, finite[-1].step - finite[0].step + 1
    ranges: dict[int, list[Point]] = {}
    for point in finite:
        column = (point.step - first) * columns // steps
        ranges.setdefault(column, []).append(point)
    kept: list[Point] = []
    for inside in ranges.values():
        at = {
            min(range(len(inside)), key=lambda place: inside[place].value),
            max(range(len(inside)), key=lambda place: inside[place].value),
        }
        kept += [inside[place] for place in sorted(at)]
    return kept


def find_alerts(
    losses: Sequence[Point], gradients: Sequence[Point], *, finished: bool = False
) -> list[Alert]:
    """What deserves a look, gravest first. A run that has finished may well end on a plateau."""
    found = []
    for step, value in losses:
        if not math.isfinite(value):
            found.append(Alert(kind=AlertKind.NOT_FINITE, step=step, value=value))
            break
    for kind, series in (
        (AlertKind.LOSS_SPIKE, losses),
        (AlertKind.GRADIENT_SPIKE, gradients),
    ):
        spike = _last_spike(series)
        if spike is not None:
            found.append(Alert(kind=kind, step=spike.step, value=spike.value))
    plateau = None if finished else _plateau(losses)
    if plateau is not None:
        found.append(plateau)
    return found


def _last_spike(points: Sequence[Point]) -> Point | None:
    """The newest spike among the last `SPIKE_WINDOW` readings."""
    finite = [point for point in points if math.isfinite(point.value)]
    for at in reversed(range(max(SPIKE_WINDOW, len(finite) - SPIKE_WINDOW), len(finite))):
        before = [point.value for point in finite[at - SPIKE_WINDOW : at]]
        usual = median(before)
        deviation = median(abs(value - usual) for value in before)
        limit = max(usual + SPIKE_DEVIATIONS * deviation, usual * SPIKE_RATIO)
        if finite[at].value > limit:
            return finite[at]
    return None


def _plateau(points: Sequence[Point]) -> Alert | None:
    values = [value for _, value in points if math.isfinite(value)]
    if len(values) < 2 * PLATEAU_WINDOW:
        return None
    now = fmean(values[-PLATEAU_WINDOW:])
    before = fmean(values[-2 * PLATEAU_WINDOW : -PLATEAU_WINDOW])
    if before - now > PLATEAU_GAIN * abs(before):
        return None
    return Alert(kind=AlertKind.PLATEAU, step=points[-1].step, value=now)
