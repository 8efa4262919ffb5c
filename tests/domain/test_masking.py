"""Masking: exactly the tokens that begin inside a chosen span carry a loss."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.masking import IGNORED, TrainOn, label_tokens

SPANS = [(2, 5), (8, 12), (15, 16)]


@st.composite
def tokenised(draw: st.DrawFn) -> tuple[list[int], list[tuple[int, int]], list[tuple[int, int]]]:
    """(token ids, their characters without gaps, spans between token borders)."""
    widths = draw(st.lists(st.integers(0, 4), min_size=1, max_size=20))
    ends = [sum(widths[: number + 1]) for number in range(len(widths))]
    offsets = [(end - width, end) for end, width in zip(ends, widths, strict=True)]
    borders = sorted(set(draw(st.lists(st.sampled_from([0, *ends]), max_size=6))))
    spans = [(borders[i], borders[i + 1]) for i in range(0, len(borders) - 1, 2)]
    ids = draw(st.lists(st.integers(0, 9), min_size=len(widths), max_size=len(widths)))
    return ids, offsets, spans


@given(tokenised())
def test_exactly_the_tokens_of_the_spans_are_trained(
    row: tuple[list[int], list[tuple[int, int]], list[tuple[int, int]]],
) -> None:
    ids, offsets, spans = row
    trained = {place for a, b in spans for place in range(a, b)}
    encoded = label_tokens(ids, offsets, spans)
    assert encoded.input_ids == tuple(ids)
    for token, label, (start, end) in zip(ids, encoded.labels, offsets, strict=True):
        inside = bool(set(range(start, end))) and set(range(start, end)) <= trained
        assert label == (token if inside else IGNORED)
    assert encoded.trained_tokens == sum(label != IGNORED for label in encoded.labels)


def test_a_token_across_the_border_belongs_to_where_it_begins() -> None:
    encoded = label_tokens([7, 8, 9], [(0, 3), (3, 6), (6, 9)], [(2, 4)])
    assert encoded.labels == (IGNORED, 8, IGNORED)


def test_a_token_without_characters_is_never_trained() -> None:
    assert label_tokens([1, 2], [(0, 0), (0, 1)], [(0, 1)]).labels == (IGNORED, 2)


def test_ids_and_offsets_must_be_equally_long() -> None:
    with pytest.raises(ValueError, match="zip"):
        label_tokens([1, 2], [(0, 1)], [])


@pytest.mark.parametrize(
    ("train_on", "spans"),
    [
        (TrainOn.ASSISTANT_TURNS, SPANS),
        (TrainOn.LAST_TURN, [(15, 16)]),
        (TrainOn.EVERYTHING, [(0, 20)]),
    ],
)
def test_what_is_trained_on_chooses_the_spans(
    train_on: TrainOn, spans: list[tuple[int, int]]
) -> None:
    assert chosen_spans(SPANS, 20, train_on) == spans


@pytest.mark.parametrize("train_on", [TrainOn.ASSISTANT_TURNS, TrainOn.LAST_TURN])
def test_without_an_answer_nothing_is_chosen(train_on: TrainOn) -> None:
    assert chosen_spans([], 20, train_on) == []
