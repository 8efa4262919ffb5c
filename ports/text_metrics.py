"""Comparing an answer with the one it should be."""

from collections.abc import Mapping, Sequence
from typing import Protocol


class TextMetrics(Protocol):
    """The scores of an answer, all between 0 and 1."""

    def compared(
        self, answer: str, reference: str, scores: Sequence[str], language: str
    ) -> Mapping[str, float]:
        """Each of the scores by name; words are `language`'s: en or zh."""

    def counts(self, answer: str, reference: str, language: str) -> Sequence[float]:
        """What BLEU of all answers together is made of; see domain.generation_metrics."""

    def notes(self, scores: Sequence[str]) -> Sequence[str]:
        """How the scores are computed, with the versions of what computes them.

        Raises HextuneError where something that computes them is missing.
        """
