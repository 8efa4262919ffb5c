"""Cutting: what is kept of a row that is too long, and that no token changes."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.cutting import cut_left, cut_right, learns, shorten, split
from domain.masking import IGNORED, EncodedRow

LIMIT = st.integers(1, 12)


@st.composite
def rows(draw: st.DrawFn) -> EncodedRow:
    """A row whose tokens tell their places."""
    marks = draw(st.lists(st.booleans(), min_size=1, max_size=40))
    ids = range(100, 100 + len(marks))
    labels = [token if mark else IGNORED for token, mark in zip(ids, marks, strict=True)]
    return EncodedRow(tuple(ids), tuple(labels))


@given(rows(), LIMIT)
def test_cutting_left_keeps_the_end_and_cutting_right_the_beginning(
    row: EncodedRow, limit: int
) -> None:
    kept = min(limit, len(row.input_ids))
    left, right = cut_left(row, limit), cut_right(row, limit)
    assert len(left.input_ids) == len(left.labels) == len(right.labels) == kept
    assert (left.input_ids[-1], right.input_ids[0]) == (row.input_ids[-1], row.input_ids[0])
    pairs = list(zip(row.input_ids, row.labels, strict=True))
    assert list(zip(left.input_ids, left.labels, strict=True)) == pairs[-kept:]
    assert list(zip(right.input_ids, right.labels, strict=True)) == pairs[:kept]


@given(rows(), LIMIT)
def test_pieces_put_together_are_the_row(row: EncodedRow, limit: int) -> None:
    pieces = split(row, limit)
    assert tuple(token for piece in pieces for token in piece.input_ids) == row.input_ids
    assert tuple(label for piece in pieces for label in piece.labels) == row.labels
    assert {len(piece.input_ids) for piece in pieces[:-1]} <= {limit}
    assert 1 <= len(pieces[-1].input_ids) <= limit


@given(rows())
def test_a_row_learns_where_a_token_has_something_before_it(row: EncodedRow) -> None:
    assert learns(row) is any(row.labels[n] != IGNORED for n in range(1, len(row.labels)))


def test_the_first_token_is_predicted_from_nothing() -> None:
    assert not learns(EncodedRow((7,), (7,)))
    assert not learns(EncodedRow((7, 8), (7, IGNORED)))
    assert learns(EncodedRow((7, 8), (IGNORED, 8)))
    assert not learns(EncodedRow((), ()))


def pair(prompt: int, chosen: int, rejected: int) -> EncodedRow:
    """A preference of so many tokens; those of the prompt are negative."""

    def one(answer: int, first: int) -> EncodedRow:
        said = tuple(range(first, first + answer))
        return EncodedRow((*range(-prompt, 0), *said), (*[IGNORED] * prompt, *said))

    return replace(one(chosen, 100), rejected=one(rejected, 200))


def test_a_pair_loses_the_same_beginning_of_its_prompt() -> None:
    (cut,) = shorten(pair(6, 4, 2), 8, "cut_left")
    assert cut.input_ids == (-4, -3, -2, -1, 100, 101, 102, 103)
    assert cut.rejected is not None
    assert cut.rejected.input_ids == (-4, -3, -2, -1, 200, 201)
    assert cut.prompt_tokens == 4


def test_a_pair_cut_right_loses_the_ends_of_its_answers() -> None:
    (cut,) = shorten(pair(6, 4, 2), 7, "cut_right")
    assert cut.rejected is not None
    assert (cut.input_ids[-1], cut.rejected.input_ids[-1]) == (100, 200)


@pytest.mark.parametrize(
    ("limit", "policy"), [(4, "cut_left"), (6, "cut_right"), (9, "split"), (9, "drop")]
)
def test_a_pair_that_would_lose_its_prompt_or_an_answer_is_dropped(limit: int, policy: str) -> None:
    assert shorten(pair(6, 4, 2), limit, policy) == []
