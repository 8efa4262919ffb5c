"""Masking: exactly the tokens that begin inside a chosen span carry a loss."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.conversation import Message, Role
from domain.masking import (
    IGNORED,
    TrainOn,
    answers,
    label_everything,
    label_runs,
    label_tokens,
    outside,
    trained_turns,
)

MESSAGES = st.lists(
    st.builds(
        Message, st.sampled_from(Role), st.just("x"), trained=st.sampled_from([None, True, False])
    )
)


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


def test_a_token_across_the_border_is_trained() -> None:
    encoded = label_tokens([7, 8, 9], [(0, 3), (3, 6), (6, 9)], [(2, 4)])
    assert encoded.labels == (7, 8, IGNORED)


def test_a_token_without_characters_is_never_trained() -> None:
    assert label_tokens([1, 2], [(0, 0), (0, 1)], [(0, 1)]).labels == (IGNORED, 2)


def test_ids_and_offsets_must_be_equally_long() -> None:
    with pytest.raises(ValueError, match="zip"):
        label_tokens([1, 2], [(0, 1)], [])


@given(tokenised())
def test_runs_of_tokens_are_labelled_as_their_spans_are(
    row: tuple[list[int], list[tuple[int, int]], list[tuple[int, int]]],
) -> None:
    ids, offsets, spans = row
    starts = [start for start, _ in offsets]
    runs = [
        (sum(start < a for start in starts), sum(start < b for start in starts)) for a, b in spans
    ]
    by_runs = label_runs(ids, runs)
    by_spans = label_tokens(ids, offsets, spans)
    assert by_runs.input_ids == by_spans.input_ids
    for token, label, (start, end), wanted in zip(
        ids, by_runs.labels, offsets, by_spans.labels, strict=True
    ):
        assert label == wanted or (start == end and label == token)


@given(tokenised())
def test_what_is_outside_of_spans_is_trained_instead_of_them(
    row: tuple[list[int], list[tuple[int, int]], list[tuple[int, int]]],
) -> None:
    ids, offsets, spans = row
    inside = label_tokens(ids, offsets, spans).labels
    others = label_tokens(ids, offsets, outside(spans, offsets[-1][1])).labels
    for a, b, (start, end) in zip(inside, others, offsets, strict=True):
        assert ((a != IGNORED) != (b != IGNORED)) is (end > start)


def test_everything_is_every_token() -> None:
    assert label_everything([4, 5]).labels == (4, 5)
    assert outside([], 3) == [(0, 3)]
    assert outside([(0, 1), (2, 3)], 3) == [(1, 2)]


@given(MESSAGES, st.sampled_from(TrainOn))
def test_only_assistants_are_trained_and_their_own_word_wins(
    messages: list[Message], train_on: TrainOn
) -> None:
    turns = trained_turns(messages, train_on)
    assert turns == sorted(set(turns))
    assert set(turns) <= set(answers(messages))
    for number in answers(messages):
        if messages[number].trained is not None:
            assert (number in turns) is messages[number].trained


@given(MESSAGES)
def test_turns_that_say_nothing_follow_the_policy(messages: list[Message]) -> None:
    silent = [Message(message.role, message.content) for message in messages]
    turns = [n for n, message in enumerate(messages) if message.role is Role.ASSISTANT]
    assert answers(silent) == turns
    assert trained_turns(silent, TrainOn.ASSISTANT_TURNS) == turns
    assert trained_turns(silent, TrainOn.LAST_TURN) == turns[-1:]
    assert trained_turns(silent, TrainOn.EVERYTHING) == turns


def test_the_last_turn_is_the_last_one_even_where_it_is_silenced() -> None:
    talk = [Message(Role.ASSISTANT, "a"), Message(Role.ASSISTANT, "b", trained=False)]
    assert trained_turns(talk, TrainOn.LAST_TURN) == []
