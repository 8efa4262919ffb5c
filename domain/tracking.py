"""What is watched while a run trains: samples, when to stop early, and figures for trackers."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domain.events import EventKind, stage_figures
from domain.metrics import Point
from domain.section import limited, section

STEP_FIGURES = ("loss", "learning_rate", "grad_norm", "epoch", "tokens", "tokens_per_s")
"""Figures of a step that trackers get, beside a stage's own."""
HELD_OUT_FIGURES = ("loss", "perplexity")
"""Figures of an evaluation that trackers get, beside a stage's own."""


@section
class SamplesSection:
    """Answers of the model as it learns, always the likeliest token, so that they compare."""

    prompts: tuple[str, ...]
    """What the model is asked; it goes on with them where the stage trains on documents."""
    every_steps: int = limited(50, ge=1)
    """Steps between samples."""
    max_tokens: int = limited(64, ge=1)
    """Longest answer, in tokens."""


@section
class StoppingSection:
    """When a run ends before its last step."""

    patience: int = limited(3, ge=1)
    """Evaluations in a row that bring nothing better, after which the run ends."""
    min_delta: float = limited(0.0, ge=0)
    """What is better by less counts for nothing."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How the evaluations of a run stand."""

    best: Point
    """The best one."""
    since: int
    """Evaluations after it."""


def higher_is_better(figure: str) -> bool:
    """Whether more of a held-out figure is better: of rewards, not of losses and divergences."""
    return "reward" in figure or "accuracy" in figure


def standing(readings: Sequence[Point], figure: str, min_delta: float = 0.0) -> Standing:
    """The best of at least one reading, where better means by more than `min_delta`."""
    sign = 1 if higher_is_better(figure) else -1
    best, since = readings[0], 0
    for reading in readings[1:]:
        better = sign * (reading.value - best.value) > min_delta
        best, since = (reading, 0) if better else (best, since + 1)
    return Standing(best, since)


def tracked_figures(kind: EventKind, data: Mapping[str, Any]) -> dict[str, float]:
    """What trackers get of an event, as `train/...` or `eval/...`; nothing of other kinds."""
    if kind is EventKind.STEP:
        return _named("train", STEP_FIGURES, data)
    if kind is not EventKind.EVALUATION:
        return {}
    found = _named("eval", HELD_OUT_FIGURES, data)
    for source, figures in data.get("sources", {}).items():
        plain = re.sub(r"[^\w.-]+", "_", source).strip("_")
        found |= _named(f"eval/{plain}", HELD_OUT_FIGURES, figures)
    return found


def _named(group: str, names: Sequence[str], data: Mapping[str, Any]) -> dict[str, float]:
    plain = {name: float(data[name]) for name in names if name in data}
    return {f"{group}/{name}": value for name, value in {**plain, **stage_figures(data)}.items()}
