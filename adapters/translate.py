"""Translations from the locale files: `adapters/data/locales/<language>.json`.

A locale is nested JSON; its `errors` hold {code: [message, hint]} with the placeholders of
`domain.error_texts`. English errors come from the domain itself.
"""

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from domain.errors import Problem

FOLDER = Path(__file__).parent / "data" / "locales"
ENGLISH = "en"


class JsonTranslator:
    """Implements ports.texts.Translator."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder

    def languages(self) -> Sequence[str]:
        """Languages there is a file for, English first."""
        found = sorted(path.stem for path in self._folder.glob("*.json"))
        return [ENGLISH, *(name for name in found if name != ENGLISH)]

    def text(self, language: str, key: str, **facts: object) -> str:
        """The text under `key`, in English where the language lacks it."""
        for name in (language, ENGLISH):
            value: Any = _locale(self._folder, name)
            for part in key.split("."):
                value = value.get(part) if isinstance(value, Mapping) else None
            if isinstance(value, str):
                return value.format_map(facts)
        raise KeyError(key)

    def problem(self, language: str, found: Problem) -> tuple[str, str]:
        """Message and hint, in English where the language lacks the code."""
        texts = _locale(self._folder, language).get("errors", {}).get(found.code)
        if texts is None:
            return found.message, found.hint
        message, hint = texts
        return message.format_map(found.facts), hint.format_map(found.facts)

    def choose(self, wanted: str | None) -> str:
        """The first language of a locale name or Accept-Language header with a locale file."""
        known = self.languages()
        for tag in re.split(r"[,;]", wanted or ""):
            short = re.split(r"[-_.]", tag.strip())[0].lower()
            if short in known:
                return short
        return ENGLISH


@cache
def _locale(folder: Path, language: str) -> Mapping[str, Any]:
    path = folder / f"{language}.json"
    if not path.exists():
        return {}
    loaded: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded
