"""Texts for people, in their language."""

from collections.abc import Sequence
from typing import Protocol

from domain.errors import Problem


class Translator(Protocol):
    """Looks texts up by key; English is always complete."""

    def languages(self) -> Sequence[str]:
        """Language codes, such as en, ru and zh."""

    def text(self, language: str, key: str, **facts: object) -> str:
        """The text under a dotted key, with the facts filled in. Raises KeyError for none."""

    def problem(self, language: str, found: Problem) -> tuple[str, str]:
        """(message, hint) of a problem."""

    def choose(self, wanted: str | None) -> str:
        """The language for a tag such as ru_RU.UTF-8 or zh-CN,en;q=0.5; English where unknown."""
