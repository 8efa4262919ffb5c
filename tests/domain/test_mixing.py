"""Mixing: how many rows of each source come, in which order, and by which seed."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import mixing
from domain.mixing import draw, shuffled

SEED = st.integers(0, 2**32 - 1)
T = TypeVar("T")


def mix(
    sources: Sequence[Sequence[T]], weights: Sequence[float], strategy: str, seed: int
) -> list[T]:
    """Every mixed row."""
    return list(mixing.mix(sources, weights, strategy, seed))


INTERLEAVED = ["interleave_under", "interleave_over", "interleave_once"]


@st.composite
def sources_and_weights(draw: st.DrawFn) -> tuple[list[list[tuple[int, int]]], list[float]]:
    """Sources whose rows are (source, number)."""
    sizes = draw(st.lists(st.integers(0, 12), min_size=1, max_size=4))
    sources = [[(at, number) for number in range(size)] for at, size in enumerate(sizes)]
    return sources, [draw(st.floats(0.05, 20)) for _ in sizes]


Drawn = tuple[list[list[tuple[int, int]]], list[float]]


@given(sources_and_weights(), SEED)
def test_concatenation_is_one_source_after_another(drawn: Drawn, seed: int) -> None:
    sources, weights = drawn
    assert mix(sources, weights, "concat", seed) == [row for rows in sources for row in rows]


@given(sources_and_weights(), st.sampled_from(INTERLEAVED), SEED)
def test_the_same_seed_gives_the_same_rows(drawn: Drawn, strategy: str, seed: int) -> None:
    assert mix(*drawn, strategy, seed) == mix(*drawn, strategy, seed)


@given(sources_and_weights(), st.sampled_from(INTERLEAVED), SEED)
def test_rows_of_a_source_keep_their_order(drawn: Drawn, strategy: str, seed: int) -> None:
    sources, weights = drawn
    mixed = mix(sources, weights, strategy, seed)
    for at, rows in enumerate(sources):
        numbers = [number for source, number in mixed if source == at]
        assert numbers == [place % len(rows) for place in range(len(numbers))]


@given(sources_and_weights(), SEED)
def test_once_takes_every_row_once(drawn: Drawn, seed: int) -> None:
    sources, weights = drawn
    mixed = mix(sources, weights, "interleave_once", seed)
    assert sorted(mixed) == sorted(row for rows in sources for row in rows)


@given(sources_and_weights(), SEED)
def test_over_ends_when_the_last_source_is_used_up(drawn: Drawn, seed: int) -> None:
    sources, weights = drawn
    mixed = mix(sources, weights, "interleave_over", seed)
    assert set(mixed) == {row for rows in sources for row in rows}
    if sum(map(bool, sources)) > 1:
        last_source, last_number = mixed[-1]
        assert last_number == len(sources[last_source]) - 1
        assert mixed.count(mixed[-1]) == 1


@given(sources_and_weights(), SEED)
def test_under_ends_when_the_first_source_is_used_up(drawn: Drawn, seed: int) -> None:
    sources, weights = drawn
    filled = [rows for rows in sources if rows]
    mixed = mix(sources, weights, "interleave_under", seed)
    assert len(set(mixed)) == len(mixed)
    if len(filled) > 1:
        counts = Counter(source for source, _ in mixed)
        used_up = [rows[0][0] for rows in filled if counts[rows[0][0]] == len(rows)]
        assert used_up == [mixed[-1][0]]


@pytest.mark.parametrize("strategy", INTERLEAVED)
def test_another_seed_gives_another_order(strategy: str) -> None:
    sources = [[("a", n) for n in range(30)], [("b", n) for n in range(30)]]
    assert mix(sources, [1, 1], strategy, 1) != mix(sources, [1, 1], strategy, 2)


def test_weights_say_how_often_a_source_is_drawn() -> None:
    sources = [["a"] * 2000, ["b"] * 2000]
    mixed = mix(sources, [3, 1], "interleave_under", 0)
    assert mixed.count("a") == 2000
    assert 550 < mixed.count("b") < 780


@pytest.mark.parametrize("strategy", ["concat", *INTERLEAVED])
def test_a_source_alone_is_taken_as_it_is(strategy: str) -> None:
    assert mix([[3, 1, 2]], [1], strategy, 0) == [3, 1, 2]
    assert mix([[], [3, 1], []], [1, 1, 1], strategy, 0) == [3, 1]
    assert mix([[], []], [1, 1], strategy, 0) == []
    assert mix([], [], strategy, 0) == []


# -- num_samples ------------------------------------------------------------------------------

ROWS = st.integers(0, 20).map(range).map(list)


@given(ROWS, st.sampled_from(["random", "first"]), SEED)
def test_without_a_number_all_rows_are_taken(rows: list[int], sample: str, seed: int) -> None:
    assert draw(rows, None, sample, seed) == rows


@given(ROWS, st.integers(1, 50), SEED)
def test_the_first_rows_are_the_first_ones(rows: list[int], count: int, seed: int) -> None:
    assert draw(rows, count, "first", seed) == rows[:count]


@given(ROWS, st.integers(1, 50), SEED)
def test_drawn_rows_repeat_only_when_all_were_drawn(rows: list[int], count: int, seed: int) -> None:
    drawn = draw(rows, count, "random", seed)
    assert drawn == draw(rows, count, "random", seed)
    assert len(drawn) == (count if rows else 0)
    if rows:
        times = Counter(drawn)
        assert {times[row] for row in rows} <= {count // len(rows), -(-count // len(rows))}
        assert set(drawn) <= set(rows)


def test_the_seed_draws() -> None:
    rows = list(range(100))
    assert draw(rows, 10, "random", 1) != draw(rows, 10, "random", 2)
    assert draw(rows, 10, "random", 1) != rows[:10]


class Endless:
    """A source without an end; iterating anew begins anew."""

    def __iter__(self) -> Iterator[int]:
        return iter(range(10**12))


@pytest.mark.parametrize("strategy", INTERLEAVED)
def test_sources_are_read_only_as_far_as_rows_are_asked_for(strategy: str) -> None:
    mixed = mixing.mix([Endless(), Endless()], [1, 1], strategy, 0)
    assert len(list(islice(mixed, 100))) == 100


@given(st.lists(st.integers()), st.integers(1, 20), SEED)
def test_shuffling_gives_every_row_once_and_the_same_order_again(
    rows: list[int], held: int, seed: int
) -> None:
    once = list(shuffled(rows, held, seed))
    assert Counter(once) == Counter(rows)
    assert once == list(shuffled(iter(rows), held, seed))


@given(st.integers(0, 60), st.integers(1, 20), st.integers(0, 60), SEED)
def test_a_shuffled_stream_resumes_with_the_same_rows(
    size: int, held: int, seen: int, seed: int
) -> None:
    whole = list(shuffled(range(size), held, seed))
    assert list(islice(shuffled(range(size), held, seed), seen, None)) == whole[seen:]


def test_shuffling_holds_no_more_rows_than_asked() -> None:
    first = list(islice(shuffled(Endless(), 10, 3), 50))
    assert max(first) < 60
    assert first != sorted(first)
