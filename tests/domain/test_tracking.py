"""Tracking: which evaluation is the best, when patience ends, and what trackers are told."""

import pytest

from domain.events import EventKind
from domain.metrics import Point
from domain.tracking import higher_is_better, standing, tracked_figures


def points(*values: float) -> list[Point]:
    return [Point(10 * n, value) for n, value in enumerate(values)]


@pytest.mark.parametrize(
    ("figure", "values", "min_delta", "best", "since"),
    [
        ("loss", [3.0, 2.0, 2.5, 2.4], 0.0, 10, 2),
        ("loss", [3.0, 2.0, 2.0], 0.0, 10, 1),
        ("loss", [3.0], 0.0, 0, 0),
        ("loss", [3.0, 2.95, 2.92, 2.7], 0.1, 30, 0),
        ("loss", [3.0, 2.95, 2.92], 0.1, 0, 2),
        ("rewards/accuracy", [0.5, 0.8, 0.7], 0.0, 10, 1),
        ("kl", [0.5, 0.8, 0.7], 0.0, 0, 2),
    ],
)
def test_standing(
    figure: str, values: list[float], min_delta: float, best: int, since: int
) -> None:
    found = standing(points(*values), figure, min_delta)
    assert (found.best.step, found.since) == (best, since)


def test_rewards_are_to_rise_and_losses_to_fall() -> None:
    assert [higher_is_better(name) for name in ("rewards/margin", "loss", "kl")] == [
        True,
        False,
        False,
    ]


def test_a_step_is_tracked_with_the_figures_of_its_stage() -> None:
    data = {
        "step": 3,
        "total_steps": 9,
        "loss": 1.5,
        "grad_norm": 1,
        "eta_s": 4.0,
        "rewards/margin": 2.0,
    }
    assert tracked_figures(EventKind.STEP, data) == {
        "train/loss": 1.5,
        "train/grad_norm": 1.0,
        "train/rewards/margin": 2.0,
    }


def test_an_evaluation_is_tracked_for_each_source() -> None:
    parts = {"/data/a b.jsonl": {"loss": 1.0, "perplexity": 2.7}, "c": {"loss": 2.0}}
    data = {"step": 3, "loss": 1.5, "best": True, "sources": parts}
    assert tracked_figures(EventKind.EVALUATION, data) == {
        "eval/loss": 1.5,
        "eval/data_a_b.jsonl/loss": 1.0,
        "eval/data_a_b.jsonl/perplexity": 2.7,
        "eval/c/loss": 2.0,
    }


@pytest.mark.parametrize("kind", sorted(set(EventKind) - {EventKind.STEP, EventKind.EVALUATION}))
def test_other_events_are_not_tracked(kind: EventKind) -> None:
    assert tracked_figures(kind, {"step": 3, "loss": 1.5}) == {}
