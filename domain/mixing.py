"""Mixing rows of several sources: one after another, or drawn by weight.

The names follow LLaMA-Factory's mix strategies: interleaving ends when the first source is used up
(`under`), when every source was used up once and short ones were repeated (`over`), or when all are
used up without repeating any (`once`). Sources are read as far as their rows are asked for, so that
a stream mixes as a list does.
"""

import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, Literal, TypeVar

T = TypeVar("T")
Strategy = Literal["concat", "interleave_under", "interleave_over", "interleave_once"]


def mix(
    sources: Sequence[Iterable[T]], weights: Sequence[float], strategy: str, seed: int
) -> Iterator[T]:
    """Rows of all sources by a strategy; the same seed gives the same order.

    `interleave_over` begins a source anew by iterating over it again.
    """
    if strategy == "concat":
        for rows in sources:
            yield from rows
        return
    chance = random.Random(seed)
    opened = [_Opened(rows, weight) for rows, weight in zip(sources, weights, strict=True)]
    drawn = [source for source in opened if source.filled]
    waiting = len(drawn)
    while drawn:
        (pick,) = chance.choices(drawn, [source.weight for source in drawn])
        yield pick.take()
        if pick.filled:
            continue
        waiting -= not pick.used_up
        pick.used_up = True
        if strategy == "interleave_under" or not waiting:
            return
        if strategy == "interleave_once":
            drawn.remove(pick)
        else:
            pick.begin()


class _Opened(Generic[T]):
    """A source being read, one row ahead, so that its end is known with its last row."""

    def __init__(self, rows: Iterable[T], weight: float) -> None:
        self._rows = rows
        self.weight = weight
        self.used_up = False
        self.begin()

    def begin(self) -> None:
        self._left = iter(self._rows)
        self._ahead = list(itertools.islice(self._left, 1))

    @property
    def filled(self) -> bool:
        return bool(self._ahead)

    def take(self) -> T:
        row = self._ahead.pop()
        self._ahead += itertools.islice(self._left, 1)
        return row


def shuffled(rows: Iterable[T], held: int, seed: int) -> Iterator[T]:
    """Every row once, each drawn from the `held` rows read last; the same seed, the same order."""
    chance = random.Random(seed)
    waiting: list[T] = []
    for row in rows:
        if len(waiting) < held:
            waiting.append(row)
            continue
        pick = chance.randrange(held)
        yield waiting[pick]
        waiting[pick] = row
    chance.shuffle(waiting)
    yield from waiting


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
