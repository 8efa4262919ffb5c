"""Alerts: a jump is told at its step, noise is not, and nobody is told a fourth time."""

import math
import random

from domain.alerts import MOST_ALERTS, SpikeWatch


def read(losses: list[float], gradients: list[float] | None = None) -> list[tuple[str, str]]:
    watch = SpikeWatch()
    norms = gradients or [1.0] * len(losses)
    found = []
    for step, (loss, norm) in enumerate(zip(losses, norms, strict=True), start=1):
        found += [(each.code, str(each.facts["step"])) for each in watch.read(step, loss, norm)]
    return found


def falling(count: int) -> list[float]:
    chance = random.Random(0)
    return [3.0 / (1 + n / 20) + chance.gauss(0, 0.05) for n in range(count)]


def test_noise_of_a_falling_loss_is_no_alert() -> None:
    assert read(falling(300)) == []


def test_a_jump_is_told_once_at_its_step() -> None:
    losses = falling(60)
    losses[39] = 9.0
    assert read(losses) == [("run-loss-spike", "40")]


def test_a_jump_of_the_gradient_has_a_code_of_its_own() -> None:
    gradients = [1.0 + 0.01 * (n % 3) for n in range(60)]
    gradients[30] = 50.0
    assert read(falling(60), gradients) == [("run-gradient-spike", "31")]


def test_the_first_readings_say_what_is_usual() -> None:
    assert read([9.0, *falling(19), 2.5]) == []


def test_only_so_many_alerts_of_a_kind() -> None:
    losses = falling(400)
    losses[40::40] = [20.0] * len(losses[40::40])
    found = read(losses)
    assert found == [("run-loss-spike", step) for step in ("41", "81", "121")]
    assert len(found) == MOST_ALERTS


def test_readings_that_are_not_finite_are_left_to_the_guard() -> None:
    losses = falling(60)
    losses[50] = math.nan
    assert read(losses) == []
