"""Locale files: complete, with the placeholders of English, and short enough for their places."""

import json
import re
import string
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from domain.error_texts import TEXTS
from domain.events import EventKind
from domain.job import JobStatus

FOLDER = Path(__file__).parents[2] / "adapters" / "data" / "locales"
LANGUAGES = sorted(path.stem for path in FOLDER.glob("*.json"))
TRANSLATED = [name for name in LANGUAGES if name != "en"]
CODE = re.compile(r"`([^`]*)`|(--[a-z-]+)")


def locale(language: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((FOLDER / f"{language}.json").read_text(encoding="utf-8"))
    return loaded


def texts(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every text under its dotted key, without errors."""
    for key, value in node.items():
        if prefix == "" and key == "errors":
            continue
        if isinstance(value, str):
            yield f"{prefix}{key}", value
        else:
            yield from texts(value, f"{prefix}{key}.")


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def codes(text: str) -> list[str]:
    """What stands in backticks or is an option, and must not be translated."""
    return sorted(ticked or option for ticked, option in CODE.findall(text))


def test_the_three_languages_are_there_and_name_themselves() -> None:
    assert set(LANGUAGES) >= {"en", "ru", "zh"}
    assert [locale(name)["language"] for name in ("en", "ru", "zh")] == [
        "English",
        "Русский",
        "中文",
    ]


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_language_has_the_keys_and_placeholders_of_english(language: str) -> None:
    english, other = dict(texts(locale("en"))), dict(texts(locale(language)))
    assert other.keys() == english.keys()
    wrong = [key for key in english if placeholders(english[key]) != placeholders(other[key])]
    assert wrong == []
    assert [key for key in english if codes(english[key]) != codes(other[key])] == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_language_has_every_error_with_its_placeholders(language: str) -> None:
    errors = locale(language)["errors"]
    assert errors.keys() == TEXTS.keys()
    for code, english in TEXTS.items():
        message, hint = errors[code]
        assert placeholders(message) == placeholders(english.message), code
        assert placeholders(hint) == placeholders(english.hint), code
        assert codes(message) == codes(english.message), code
        assert codes(hint) == codes(english.hint), code


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_status_and_event_has_a_text(language: str) -> None:
    assert set(locale(language)["status"]) == {status.value for status in JobStatus}
    assert set(locale(language)["events"]) == {kind.value for kind in EventKind}


@pytest.mark.parametrize("language", ["ru", "zh"])
def test_translations_are_not_english_left_behind(language: str) -> None:
    script = {"ru": r"[а-яё]", "zh": r"[一-鿿]"}[language]
    same = {"phase", "log"}
    for key, text in texts(locale(language)):
        bare = re.sub(r"\{\w+\}", "", text)
        if re.search(r"[A-Za-z]{3}", bare) and key.rpartition(".")[2] not in same:
            assert re.search(script, bare, re.IGNORECASE), key
