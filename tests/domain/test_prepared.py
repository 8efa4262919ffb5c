"""Prepared data: what is held out and what is trained on are the rows, each once."""

from hypothesis import given
from hypothesis import strategies as st

from domain.prepared import hold_out
from tests.domain.builders import prepared, row

ROWS = st.integers(0, 200).map(range).map(list)
FRACTION = st.floats(0.001, 0.999)
SEED = st.integers(0, 2**32 - 1)


@given(ROWS, FRACTION, SEED)
def test_holding_out_partitions_the_rows_and_keeps_their_order(
    rows: list[int], fraction: float, seed: int
) -> None:
    training, held_out = hold_out(rows, rows, fraction, seed)
    assert sorted(training + held_out) == rows
    assert training == sorted(training)
    assert held_out == sorted(held_out)


@given(st.integers(2, 200).map(range).map(list), FRACTION, SEED)
def test_both_parts_have_a_row_where_there_are_two(
    rows: list[int], fraction: float, seed: int
) -> None:
    training, held_out = hold_out(rows, rows, fraction, seed)
    assert training
    assert held_out
    assert abs(len(held_out) - fraction * len(rows)) <= 1


@given(ROWS, FRACTION, SEED)
def test_the_seed_alone_chooses(rows: list[int], fraction: float, seed: int) -> None:
    assert hold_out(rows, rows, fraction, seed) == hold_out(rows, rows, fraction, seed)


def test_another_seed_chooses_other_rows() -> None:
    rows = list(range(100))
    assert hold_out(rows, rows, 0.1, 1)[1] != hold_out(rows, rows, 0.1, 2)[1]


def test_a_single_row_is_trained_on() -> None:
    assert hold_out(["only"], [1], 0.9, 0) == (["only"], [])
    assert hold_out([], [], 0.9, 0) == ([], [])


def test_tokens_are_counted_over_training_rows_and_the_longest_over_all() -> None:
    data = prepared((row(10, 3), row(4, 1)), eval=(row(30, 9),))
    assert (data.train_tokens, data.trained_tokens, data.longest) == (14, 4, 30)
    assert (prepared(()).train_tokens, prepared(()).longest) == (0, 0)


@given(st.lists(st.integers(0, 9), max_size=40), FRACTION, SEED)
def test_rows_of_one_origin_are_never_on_both_sides(
    origins: list[int], fraction: float, seed: int
) -> None:
    numbered = list(enumerate(origins))
    training, held_out = hold_out(numbered, origins, fraction, seed)
    assert sorted(training + held_out) == numbered
    assert not {origin for _, origin in training} & {origin for _, origin in held_out}
    assert bool(held_out) is (len(set(origins)) > 1)


def test_packs_are_the_sequences_where_rows_are_packed() -> None:
    rows = (row(10), row(4), row(5))
    assert (prepared(rows).sequences, prepared(rows).longest) == (3, 10)
    packed = prepared(rows, packs=[[0], [2, 1]])
    assert (packed.sequences, packed.longest) == (2, 10)
    assert prepared(rows, packs=[[0, 2, 1]]).longest == 19
    assert prepared(rows, packs=[[0, 2, 1]], eval=(row(30),)).longest == 30
    assert prepared((), packs=[]).sequences == 0
