"""Curves: smoothing against its closed form, thinning by property, alerts on made-up runs."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.metrics import (
    PLATEAU_WINDOW,
    SPIKE_WINDOW,
    AlertKind,
    Point,
    downsample,
    find_alerts,
    smooth,
)

NAN = math.nan


def series(values: list[float]) -> list[Point]:
    return [Point(step, value) for step, value in enumerate(values, start=1)]


def kinds(losses: list[float], gradients: list[float] | None = None) -> list[AlertKind]:
    return [alert.kind for alert in find_alerts(series(losses), series(gradients or []))]


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30),
    st.floats(0, 0.99),
)
def test_smoothing_is_the_bias_corrected_average(values: list[float], weight: float) -> None:
    count = len(values)
    weights = [(1 - weight) * weight ** (count - 1 - place) for place in range(count)]
    expected = sum(w * v for w, v in zip(weights, values, strict=True)) / (1 - weight**count)
    assert smooth(series(values), weight)[-1].value == pytest.approx(expected, abs=1e-6)


def test_a_constant_stays_and_a_lone_reading_is_not_pulled_to_zero() -> None:
    assert [value for _, value in smooth(series([2.0] * 5))] == pytest.approx([2.0] * 5)


def test_smoothing_steps_over_what_is_not_finite() -> None:
    smoothed = smooth(series([1.0, NAN, math.inf, 1.0]))
    assert [step for step, _ in smoothed] == [1, 4]
    assert [value for _, value in smoothed] == pytest.approx([1.0, 1.0])


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400), st.integers(1, 60))
def test_thinning_keeps_extremes_order_and_size(values: list[float], columns: int) -> None:
    points = series(values)
    kept = downsample(points, columns)
    assert len(kept) <= 2 * columns
    assert [p.step for p in kept] == sorted(p.step for p in kept)
    assert set(kept) <= set(points)
    assert min(p.value for p in kept) == min(values)
    assert max(p.value for p in kept) == max(values)


def test_thinning_keeps_the_extremes_of_every_column() -> None:
    points = series([5, 1, 9, 5, 5, 2, 8, 5])
    assert [point.value for point in downsample(points, 2)] == [1, 9, 2, 8]


def test_thinning_leaves_out_what_is_not_finite() -> None:
    assert downsample(series([1.0, NAN, math.inf, 2.0]), 10) == [Point(1, 1.0), Point(4, 2.0)]
    assert downsample(series([NAN]), 10) == []


def test_several_readings_of_one_step_do_not_divide_by_zero() -> None:
    points = [Point(3, 1.0), Point(3, 2.0), Point(3, 0.5)]
    assert downsample(points, 1) == [Point(3, 2.0), Point(3, 0.5)]


def falling(count: int, noise: float = 0.05) -> list[float]:
    """A noisy run that keeps learning."""
    dice = random.Random(7)
    return [3.0 * 0.98**step * (1 + noise * dice.uniform(-1, 1)) for step in range(count)]


def test_a_healthy_run_raises_nothing() -> None:
    assert kinds(falling(120), [1.0] * 120) == []


def test_a_loss_that_is_not_finite_is_told_with_its_first_step() -> None:
    alert = find_alerts(series([1.0, NAN, NAN]), [])[0]
    assert (alert.kind, alert.step) == (AlertKind.NOT_FINITE, 2)


@pytest.mark.parametrize(("size", "alarmed"), [(1.3, False), (4.0, True)])
def test_a_jump_of_the_loss_is_a_spike_and_noise_is_not(size: float, alarmed: bool) -> None:
    values = falling(60)
    values[50] *= size
    assert (AlertKind.LOSS_SPIKE in kinds(values)) is alarmed


def test_an_old_spike_is_forgotten() -> None:
    values = falling(60 + 2 * SPIKE_WINDOW)
    values[30] *= 10
    assert kinds(values) == []


def test_gradients_are_watched_too() -> None:
    assert kinds(falling(30), [1.0] * 29 + [50.0]) == [AlertKind.GRADIENT_SPIKE]


def test_a_loss_that_no_longer_falls_is_a_plateau_unless_the_run_is_over() -> None:
    flat = series([1.0] * (2 * PLATEAU_WINDOW))
    assert [alert.kind for alert in find_alerts(flat, [])] == [AlertKind.PLATEAU]
    assert find_alerts(flat, [], finished=True) == []
    assert find_alerts(flat[1:], []) == []
