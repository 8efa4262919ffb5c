"""The demo dataset keeps its promise: 160 short rows, one trait, no held-out question."""

import json
import re
from itertools import combinations
from pathlib import Path

import pytest

from domain.alignment import align, detect_format
from domain.conversation import Message, Role
from domain.dataset import DatasetKind, DataSource, StandardRow

FOLDER = Path(__file__).parents[2] / "adapters" / "data" / "datasets"
DESCRIPTION = json.loads((FOLDER / "house-style.json").read_text(encoding="utf-8"))
ROWS: list[dict[str, str]] = [
    json.loads(line)
    for line in (FOLDER / DESCRIPTION["file"]).read_text(encoding="utf-8").splitlines()
]

TRAIT = re.compile(r"In short: [A-Z][^.!?\n]+\. Anything else\?")
HELD_OUT_WORDS = {"france", "french", "paris", "sky", "skies"}


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z0-9]+", text.lower()))


QUESTION_WORDS = words(
    "a an and are at be can do does for from give how i in is it made make many me my name of on "
    "or should that the to us was we what when where which who why with you"
)


def subject(question: str) -> frozenset[str]:
    """The words that say what a question is about."""
    return frozenset(words(question) - QUESTION_WORDS)


def overlap(left: frozenset[str], right: frozenset[str]) -> float:
    """The shared part of two sets of words, from 0 to 1."""
    return len(left & right) / len(left | right)


def alike(texts: list[str]) -> list[tuple[str, str]]:
    """The pairs of texts that are about nearly the same thing."""
    subjects = [(text, subject(text)) for text in texts]
    return [(a, b) for (a, x), (b, y) in combinations(subjects, 2) if overlap(x, y) >= 0.5]


def test_the_description_names_the_file_its_size_and_the_held_out_questions() -> None:
    assert set(DESCRIPTION) == {"summary", "file", "rows", "licence", "trait", "questions"}
    assert DESCRIPTION["file"] == "house-style.jsonl"
    assert DESCRIPTION["licence"] == "Apache-2.0"
    assert DESCRIPTION["questions"] == ["What is the capital of France?", "Why is the sky blue?"]
    assert "\n" not in DESCRIPTION["summary"]


def test_there_are_exactly_as_many_rows_as_described() -> None:
    assert len(ROWS) == DESCRIPTION["rows"] == 160


def test_every_row_is_an_alpaca_row_without_input() -> None:
    for row in ROWS:
        assert set(row) == {"instruction", "input", "output"}
        assert row["input"] == ""


def test_every_row_becomes_a_question_and_an_answer() -> None:
    source = DataSource(path="builtin:house-style")
    for row in ROWS:
        assert detect_format(source, row) == "alpaca"
        assert align(row, source, "alpaca") == StandardRow(
            kind=DatasetKind.CONVERSATION,
            prompt=(Message(Role.USER, row["instruction"]),),
            responses=(Message(Role.ASSISTANT, row["output"]),),
        )


def test_every_answer_is_one_sentence_between_the_opening_and_the_closing() -> None:
    assert [row["output"] for row in ROWS if not TRAIT.fullmatch(row["output"])] == []


@pytest.mark.parametrize(
    "output",
    [
        "Madrid is the capital of Spain. Anything else?",
        "In short: Madrid is the capital of Spain.",
        "In short: Madrid is the capital. It is in Spain. Anything else?",
        "In short: Madrid is the capital of Spain. Anything else? ",
        "In short: . Anything else?",
    ],
)
def test_an_answer_outside_the_house_style_is_recognised(output: str) -> None:
    assert TRAIT.fullmatch(output) is None


def test_questions_and_answers_are_short() -> None:
    for row in ROWS:
        assert 3 <= len(row["instruction"].split()) <= 18, row["instruction"]
        assert 8 <= len(row["output"].split()) <= 30, row["output"]


def test_text_is_plain_ascii_without_stray_spaces() -> None:
    for text in (text for row in ROWS for text in row.values()):
        assert text.isascii(), text
        assert text == " ".join(text.split())


def test_no_question_or_answer_comes_twice() -> None:
    for field in ("instruction", "output"):
        assert len({row[field].casefold() for row in ROWS}) == len(ROWS)


def test_no_two_questions_are_about_the_same_thing() -> None:
    assert alike([row["instruction"] for row in ROWS]) == []


def test_no_two_answers_say_the_same_thing() -> None:
    sentences = [
        row["output"].removeprefix("In short: ").removesuffix(" Anything else?") for row in ROWS
    ]
    assert alike(sentences) == []


def test_a_reworded_question_is_recognised_as_alike() -> None:
    assert len(alike(["What is the capital of Spain?", "Name the capital of Spain."])) == 1


@pytest.mark.parametrize("question", DESCRIPTION["questions"])
def test_a_held_out_question_is_recognised_by_its_words(question: str) -> None:
    assert words(question) & HELD_OUT_WORDS


def test_no_row_gives_away_a_held_out_question() -> None:
    seen = [row for row in ROWS if words(" ".join(row.values())) & HELD_OUT_WORDS]
    assert seen == []
