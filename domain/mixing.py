"""Mixing rows of several sources: one after another, or drawn by weight.

The names follow LLaMA-Factory's mix strategies: interleaving ends when the first source is used up
(`under`), when every source was used up once and short ones were repeated (`over`), or when all are
used up without repeating any (`once`).
"""

import random
from collections.abc import Sequence
from typing import Literal, TypeVar

T = TypeVar("T")
Strategy = Literal["concat", "interleave_under", "interleave_over", "interleave_once"]


def mix(
    sources: Sequence[Sequence[T]], weights: Sequence[float], strategy: str, seed: int
) -> list[T]:
    """Rows of all sources by a strategy; the same seed gives the same order."""
    filled = [(rows, weight) for rows, weight in zip(sources, weights, strict=True) if rows]
    if strategy == "concat" or len(filled) < 2:
        return [row for rows, _ in filled for row in rows]
    return _interleave([rows for rows, _ in filled], [w for _, w in filled], strategy, seed)


def _interleave(
    sources: list[Sequence[T]], weights: list[float], strategy: str, seed: int
) -> list[T]:
    chance = random.Random(seed)
    taken = [0] * len(sources)
    open_sources = list(range(len(sources)))
    used_up: set[int] = set()
    mixed: list[T] = []
    while open_sources:
        (pick,) = chance.choices(open_sources, [weights[n] for n in open_sources])
        rows = sources[pick]
        mixed.append(rows[taken[pick] % len(rows)])
        taken[pick] += 1
        if taken[pick] < len(rows):
            continue
        used_up.add(pick)
        if strategy == "interleave_under" or len(used_up) == len(sources):
            break
        if strategy == "interleave_once":
            open_sources.remove(pick)
    return mixed


def draw(rows: Sequence[T], count: int | None, sample: str, seed: int) -> list[T]:
    """`count` rows: the first ones, or drawn by the seed; drawing again where there are too few."""
    if count is None:
        return list(rows)
    if sample == "first" or not rows:
        return list(rows[:count])
    chance = random.Random(seed)
    drawn: list[int] = []
    while len(drawn) < count:
        drawn += chance.sample(range(len(rows)), min(len(rows), count - len(drawn)))
    return [rows[number] for number in drawn]
