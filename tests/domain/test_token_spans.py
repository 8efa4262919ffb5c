"""Tokens as text for people: spans that are trained alike, ids, control characters, long runs."""

from domain.token_spans import token_spans

ROW = [("Hi", 1, False), ("\n", 2, False), ("Yo", 3, True), ("\n", 2, True)]


def test_neighbours_that_are_trained_alike_are_one_span() -> None:
    assert list(token_spans(ROW, ids=False)) == [("Hi\n", False), ("Yo\n", True)]


def test_an_id_stands_on_the_line_of_its_token() -> None:
    assert list(token_spans(ROW, ids=True)) == [("Hi·1 ↵·2 \n", False), ("Yo·3 ↵·2 \n", True)]


def test_an_escape_sequence_in_a_row_does_not_reach_the_terminal() -> None:
    pieces = [("a\x1b[2J\x7f\tb\r\n", 1, False)]
    assert list(token_spans(pieces, ids=False)) == [("a␛[2J␡\tb␍\n", False)]


def test_only_special_tokens_are_collapsed_and_only_within_a_span() -> None:
    pads = [("<|pad|>", 9, False)] * 4
    assert list(token_spans(pads, ids=False)) == [("<pad x 4>", False)]
    mixed = [*pads[:2], ("<|pad|>", 9, True), ("<|pad|>", 9, True)]
    assert list(token_spans(mixed, ids=False)) == [("<|pad|>" * 2, False), ("<|pad|>" * 2, True)]
    assert list(token_spans([("ha", 5, True)] * 4, ids=False)) == [("hahahaha", True)]
