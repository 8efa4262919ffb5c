"""Windows over long rows: every counted token is scored once, with enough before it."""

import pytest

from domain.scoring import windows


@pytest.mark.parametrize(
    ("length", "window", "stride"),
    [(1, 8, 4), (8, 8, 4), (9, 8, 4), (30, 8, 4), (31, 8, 7), (5, 2, 1)],
)
def test_every_token_but_the_first_is_scored_once(length: int, window: int, stride: int) -> None:
    ids = list(range(100, 100 + length))
    found = list(windows(ids, [True] * length, window, stride))
    scored = [
        token
        for each in found
        for token, counted in zip(each.ids, each.counted, strict=True)
        if counted
    ]
    assert scored == ids[1:]
    assert all(len(each.ids) <= window and not each.counted[0] for each in found)


def test_a_token_has_the_tokens_of_the_overlap_before_it() -> None:
    for each in list(windows(range(40), [True] * 40, 10, 4))[1:]:
        assert each.counted.index(True) == 6


def test_tokens_that_do_not_count_and_windows_without_any_are_left_out() -> None:
    counted = [n >= 14 for n in range(16)]
    (only,) = windows(range(16), counted, 8, 4)
    assert only.ids == tuple(range(8, 16))
    assert only.counted == (False,) * 6 + (True, True)
