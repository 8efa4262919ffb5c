"""Scoring: texts in, log-likelihoods out."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from domain.sampling import ServedModel
from domain.scoring import ScoredGroup, ScoredTokens


class Scorer(Protocol):
    """A model, or several over one base, that says how likely it finds a text."""

    def models(self) -> Sequence[ServedModel]:
        """What it scores as; the first is the default."""

    def score(
        self, group: ScoredGroup, model: str
    ) -> Iterator[tuple[int, tuple[float, ...] | None]]:
        """(an item's number, the log-likelihood of each of its continuations in nats).

        Every item comes once, in the order it is ready; None stands for one that is longer than
        the context. Raises HextuneError for an unknown model.
        """

    def score_tokens(self, rows: Sequence[ScoredTokens], model: str) -> Iterator[tuple[int, float]]:
        """(a row's number, the log-likelihood of its scored tokens in nats), each row once.

        No row is longer than the context. Raises HextuneError for an unknown model.
        """

    def close(self) -> None:
        """Release the model."""
