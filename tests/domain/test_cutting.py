"""Cutting: what is kept of a row that is too long, and that no token changes."""

from hypothesis import given
from hypothesis import strategies as st

from domain.cutting import cut_left, cut_right, learns, split
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
