"""Translations: the language asked for, English where it lacks a text."""

import json
from pathlib import Path

import pytest

from adapters.translate import JsonTranslator
from domain.errors import Problem, problem

OURS = JsonTranslator()


@pytest.fixture
def small(tmp_path: Path) -> JsonTranslator:
    """English with two texts, German with one of them and one error."""
    locales = {
        "en": {"hello": {"you": "Hello, {name}."}, "bye": "Bye."},
        "de": {
            "hello": {"you": "Hallo, {name}."},
            "errors": {"run-missing": ["Kein Lauf `{name}` in {folder}.", "`tune runs`"]},
        },
    }
    for language, texts in locales.items():
        (tmp_path / f"{language}.json").write_text(json.dumps(texts), encoding="utf-8")
    return JsonTranslator(tmp_path)


MISSING = problem("run-missing", name="x", folder="runs")


def test_a_text_is_found_by_its_key_with_the_facts_filled_in(small: JsonTranslator) -> None:
    assert small.text("de", "hello.you", name="Eva") == "Hallo, Eva."
    assert small.text("en", "hello.you", name="Eva") == "Hello, Eva."


@pytest.mark.parametrize("language", ["de", "fr"])
def test_a_text_a_language_lacks_is_english(small: JsonTranslator, language: str) -> None:
    assert small.text(language, "bye") == "Bye."


@pytest.mark.parametrize("key", ["no.such", "hello", "bye.more", ""])
def test_a_key_without_a_text_is_a_mistake(small: JsonTranslator, key: str) -> None:
    with pytest.raises(KeyError):
        small.text("en", key)


def test_a_missing_fact_is_a_mistake(small: JsonTranslator) -> None:
    with pytest.raises(KeyError, match="name"):
        small.text("en", "hello.you")


def test_a_problem_is_told_in_the_language_or_in_english(small: JsonTranslator) -> None:
    assert small.problem("de", MISSING) == ("Kein Lauf `x` in runs.", "`tune runs`")
    assert small.problem("en", MISSING) == (MISSING.message, MISSING.hint)
    other = Problem(code="rule-one-length")
    assert small.problem("de", other) == (other.message, other.hint)


def test_languages_are_the_files_with_english_first(small: JsonTranslator) -> None:
    assert small.languages() == ["en", "de"]
    assert OURS.languages() == ["en", "ru", "zh"]


@pytest.mark.parametrize("language", ["ru", "zh"])
def test_shipped_languages_tell_problems_in_their_own_words(language: str) -> None:
    message, hint = OURS.problem(language, MISSING)
    assert message != MISSING.message
    assert hint != MISSING.hint
    assert "`x`" in message


@pytest.mark.parametrize(
    ("wanted", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("C", "en"),
        ("C.UTF-8", "en"),
        ("en_US.UTF-8", "en"),
        ("ru_RU.UTF-8", "ru"),
        ("ru", "ru"),
        ("RU-ru", "ru"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("fr-CH, ru;q=0.9, en;q=0.8", "ru"),
        ("fr", "en"),
        ("*", "en"),
        ("; ,", "en"),
        ("zhuang", "en"),
    ],
)
def test_the_first_known_language_is_chosen(wanted: str | None, language: str) -> None:
    assert OURS.choose(wanted) == language
