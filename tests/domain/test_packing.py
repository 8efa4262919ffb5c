"""Packing: every row once, never over the limit, and few packs."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.packing import pack


@st.composite
def lengths_and_limit(draw: st.DrawFn) -> tuple[list[int], int]:
    limit = draw(st.integers(1, 64))
    return draw(st.lists(st.integers(1, limit), max_size=60)), limit


@given(lengths_and_limit())
def test_every_row_stands_in_exactly_one_pack_within_the_limit(
    drawn: tuple[list[int], int],
) -> None:
    lengths, limit = drawn
    packs = pack(lengths, limit)
    assert sorted(row for rows in packs for row in rows) == list(range(len(lengths)))
    assert all(0 < sum(lengths[row] for row in rows) <= limit for rows in packs)


@given(lengths_and_limit())
def test_packs_are_near_the_fewest_there_can_be(drawn: tuple[list[int], int]) -> None:
    lengths, limit = drawn
    fewest = max(math.ceil(sum(lengths) / limit), sum(2 * length > limit for length in lengths))
    packs = pack(lengths, limit)
    assert fewest <= len(packs) <= 2 * fewest
    filled = sorted(sum(lengths[row] for row in rows) for rows in packs)
    assert len(filled) < 2 or filled[0] + filled[1] > limit


def test_packs_of_a_known_optimum_are_found() -> None:
    parts = [[7, 3], [6, 4], [5, 5], [9, 1], [8, 2], [10], [4, 3, 3]]
    packs = pack([length for part in parts for length in part], 10)
    assert len(packs) == len(parts)


@pytest.mark.parametrize(
    ("lengths", "packs"),
    [
        ([], []),
        ([8], [[0]]),
        ([8, 8], [[0], [1]]),
        ([1, 8, 3, 5], [[1], [3, 2], [0]]),
        ([2, 5, 4, 6], [[3, 0], [1], [2]]),
    ],
)
def test_a_row_goes_where_it_leaves_the_least_room(
    lengths: list[int], packs: list[list[int]]
) -> None:
    assert pack(lengths, 8) == packs


def test_a_row_longer_than_a_pack_is_refused() -> None:
    with pytest.raises(ValueError, match="row 1 has 9 tokens, more than 8"):
        pack([8, 9], 8)
