"""Detokenizing: whole characters while they come, and not a letter of a stop text."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from adapters.detokenizing import UNFINISHED, Detokenizer, StopTexts

SPECIAL = "<|end|>"


def byte_level(trained_on: list[str]) -> Any:
    """A byte-level BPE tokenizer with a few merges and one special token."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=[SPECIAL],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(trained_on, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token=SPECIAL)


TOKENIZER = byte_level(["The sky is blue. Небо синее, 天空是蓝色的. 👍🏽 🇫🇷"] * 3)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=UNFINISHED))


def pieces(ids: list[int]) -> list[str]:
    """What each token completes, and what is left at the end."""
    decoding = Detokenizer(TOKENIZER)
    return [*(decoding.feed(token) for token in ids), decoding.finish()]


def encoded(text: str) -> list[int]:
    ids: list[int] = TOKENIZER.encode(text)
    return ids


@given(TEXT)
def test_pieces_join_to_the_text_and_hold_whole_characters(text: str) -> None:
    found = pieces(encoded(text))
    assert "".join(found) == text
    assert not any(UNFINISHED in piece for piece in found)


@given(st.lists(st.integers(0, len(TOKENIZER) - 1), max_size=40))
def test_any_tokens_give_the_text_of_the_whole(ids: list[int]) -> None:
    assert "".join(pieces(ids)) == TOKENIZER.decode(ids, skip_special_tokens=True)


@pytest.mark.parametrize("text", ["👍🏽", "👩‍👩‍👧", "🇫🇷", "Небо", "天空", "e\u0301", "a👍b"])
def test_a_character_of_several_tokens_comes_at_once(text: str) -> None:
    ids = encoded(text)
    assert "".join(pieces(ids)) == text
    for piece in pieces(ids):
        piece.encode()


def test_a_token_that_completes_nothing_gives_nothing() -> None:
    ids = encoded("\U0001f980")
    assert len(ids) > 2
    assert pieces(ids) == [""] * (len(ids) - 1) + ["\U0001f980", ""]


def test_an_answer_cut_inside_a_character_shows_that_at_the_end() -> None:
    found = pieces(encoded("a\U0001f980")[:-1])
    assert found[0] == "a"
    assert found[-1] == UNFINISHED
    assert set(found[1:-1]) == {""}


def test_special_tokens_are_silent() -> None:
    ids = [*encoded("a"), TOKENIZER.eos_token_id, *encoded("b")]
    assert "".join(pieces(ids)) == "ab"


def test_an_empty_answer_is_empty() -> None:
    assert pieces([]) == [""]


def cut_at(text: str, stops: list[str]) -> str:
    """The text before the stop that is complete first."""
    ends = [(text.find(stop) + len(stop), text.find(stop)) for stop in stops if stop in text]
    return text[: min(ends)[1]] if ends else text


def streamed(parts: list[str], stops: list[str]) -> tuple[list[str], bool]:
    """(what came out, whether a stop was found), as an engine uses it."""
    watching = StopTexts(stops)
    out = []
    for part in parts:
        out.append(watching.feed(part))
        if watching.found:
            break
    return [*out, watching.finish()], watching.found


@given(
    st.lists(st.text("ab", max_size=5), max_size=8),
    st.lists(st.text("ab", min_size=1, max_size=4), max_size=3),
)
def test_the_output_is_the_text_before_the_first_stop_however_it_was_cut_up(
    parts: list[str], stops: list[str]
) -> None:
    out, found = streamed(parts, stops)
    text = "".join(parts)
    assert "".join(out) == cut_at(text, stops)
    assert found == any(stop in text for stop in stops)
    assert not any(stop in "".join(out) for stop in stops)


def test_nothing_is_held_back_that_cannot_begin_a_stop() -> None:
    watching = StopTexts(["</s>"])
    assert watching.feed("a < b") == "a < b"
    assert watching.feed(" </") == " "
    assert watching.feed("b") == "</b"
    assert watching.feed("<") == ""
    assert watching.finish() == "<"


def test_a_stop_over_several_pieces_is_found() -> None:
    watching = StopTexts(["STOP"])
    assert [watching.feed(part) for part in ("go S", "T", "OP now")] == ["go ", "", ""]
    assert watching.found
    assert watching.finish() == ""


def test_the_stop_that_is_complete_first_counts() -> None:
    assert StopTexts(["abcd", "bc"]).feed("abcd") == "a"


def test_empty_stops_are_no_stops() -> None:
    watching = StopTexts(["", ""])
    assert watching.feed("text") == "text"
    assert not watching.found
