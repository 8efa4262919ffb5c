"""Held-out rows in a trainer: one set, or one for each source that was named.

transformers logs each set by itself; an evaluation is what they say together, weighted by rows.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domain.errors import fail
from domain.events import stage_figures
from domain.masking import EncodedRow
from domain.metrics import Point
from domain.tracking import Standing, standing

LOSS = re.compile(r"eval_(?:(\d+)_)?loss")
"""The log's name of a set's loss; sets of several are numbered."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One evaluation."""

    step: int
    figures: Mapping[str, float]
    """`loss`, and perplexity or a stage's own figures, over all rows."""
    sources: Mapping[str, Mapping[str, float]]
    """The same for each source, where there are several."""


def sources(rows: Sequence[EncodedRow]) -> dict[str, list[EncodedRow]]:
    """Name of each source to its rows."""
    found: dict[str, list[EncodedRow]] = {}
    for row in rows:
        found.setdefault(row.source, []).append(row)
    return found


def evaluation_sets(rows: Sequence[EncodedRow], made: Callable[[Sequence[EncodedRow]], Any]) -> Any:
    """A trainer's `eval_dataset`: None, a dataset, or numbered ones for several sources."""
    if not rows:
        return None
    parts = sources(rows)
    if len(parts) == 1:
        return made(rows)
    return {str(number): made(part) for number, part in enumerate(parts.values())}


def is_evaluation(logs: Mapping[str, Any]) -> bool:
    """Whether a log is of held-out rows."""
    return any(LOSS.fullmatch(name) for name in logs)


def evaluations(history: Sequence[Mapping[str, Any]], rows: Sequence[EncodedRow]) -> list[Measured]:
    """Every whole evaluation in a trainer's log, one after another."""
    parts = sources(rows) or {"": []}
    logs = [entry for entry in history if is_evaluation(entry)]
    found = []
    for start in range(0, len(logs) - len(parts) + 1, len(parts)):
        together = [_figures(entry) for entry in logs[start : start + len(parts)]]
        weights = [len(part) for part in parts.values()]
        each = dict(zip(parts, together, strict=True)) if len(parts) > 1 else {}
        found.append(Measured(int(logs[start]["step"]), _mean(together, weights), each))
    return found


def standing_of(found: Sequence[Measured], figure: str, min_delta: float = 0.0) -> Standing:
    """How evaluations stand by one of their figures. Raises HextuneError where they lack it."""
    known = found[-1].figures
    if figure not in known:
        raise fail("run-figure-missing", name=figure, known=", ".join(known))
    readings = [Point(each.step, each.figures[figure]) for each in found]
    return standing(readings, figure, min_delta)


def best_of(found: Sequence[Measured], figure: str) -> Point:
    """Step and figure of the best evaluation."""
    return standing_of(found, figure).best


def _figures(entry: Mapping[str, Any]) -> dict[str, float]:
    loss = next(float(entry[name]) for name in entry if LOSS.fullmatch(name))
    plain = {name.removeprefix("eval_"): value for name, value in entry.items()}
    return _with_perplexity({"loss": loss, **stage_figures(plain)})


def _mean(parts: Sequence[Mapping[str, float]], weights: Sequence[int]) -> dict[str, float]:
    if len(parts) == 1:
        return dict(parts[0])
    found = {}
    for name in parts[0]:
        known = [(p[name], w) for p, w in zip(parts, weights, strict=True) if name in p]
        found[name] = sum(value * weight for value, weight in known) / sum(w for _, w in known)
    found.pop("perplexity", None)
    return _with_perplexity(found)


def _with_perplexity(found: dict[str, float]) -> dict[str, float]:
    """A loss alone is that of the next token, whose exponent people read."""
    if set(found) == {"loss"}:
        found["perplexity"] = math.exp(min(found["loss"], 700.0))
    return found
