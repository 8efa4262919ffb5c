"""Two answers beside each other, and which of them a person prefers without knowing whose it is.

Win rates count a tie as half a win of each; whether one model wins more often is the sign test,
ties left out (Dixon and Mood 1946).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from random import Random
from typing import Any

from domain.confidence import Estimate, estimate, mcnemar
from domain.fingerprint import Json

RESAMPLES = 1000
"""Behind each interval."""


class Choice(StrEnum):
    """What a person says of two answers."""

    FIRST = "a"
    """The answer shown first is better."""
    SECOND = "b"
    """The answer shown second is better."""
    TIE = "tie"
    """Neither is better."""
    SKIP = "skip"
    """The pair is not rated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A question with the answers of two models."""

    item: str
    """Content hash of the question."""
    prompt: tuple[Mapping[str, Json], ...]
    """The turns before the answer."""
    answers: Mapping[str, str]
    """Model to its answer; two of them."""
    winner: str | None = None
    """The better model, or `tie` or `skip`; None while nobody has looked."""

    def shown(self, seed: int) -> tuple[str, str]:
        """The models in the order a person sees their answers; chance of the seed and the item."""
        one, other = self.answers
        return (other, one) if Random(f"{seed}:{self.item}").random() < 0.5 else (one, other)

    def chosen(self, choice: Choice, seed: int) -> str:
        """The winner that a choice means."""
        first, second = self.shown(seed)
        return {Choice.FIRST: first, Choice.SECOND: second}.get(choice, choice.value)

    def preference(self) -> dict[str, object] | None:
        """The row that the dpo stage trains on; None where nothing is preferred.

        A text that is preferred to an equal or empty one teaches nothing, and makes no row.
        """
        if self.winner is None or self.winner not in self.answers:
            return None
        (loser,) = {*self.answers} - {self.winner}
        better, worse = self.answers[self.winner], self.answers[loser]
        if not better.strip() or not worse.strip() or better == worse:
            return None
        return {
            "prompt": list(self.prompt),
            "chosen": [{"role": "assistant", "content": better}],
            "rejected": [{"role": "assistant", "content": worse}],
        }

    def as_json(self) -> dict[str, Json]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Pair":
        """The pair `as_json` described."""
        return cls(**{**values, "prompt": tuple(values["prompt"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class WinRates:
    """What the ratings say so far."""

    rates: Mapping[str, Estimate]
    """Model to its share of the rated pairs, with its 95% interval; empty before the first."""
    wins: Mapping[str, int]
    """Model to the pairs it won."""
    ties: int
    """Pairs without a winner."""
    skipped: int
    """Pairs that were not rated."""
    unrated: int
    """Pairs that nobody has looked at."""
    p_value: float
    """Two-sided: how likely such a difference is where neither is better."""


def win_rates(pairs: Sequence[Pair], models: Sequence[str], seed: int) -> WinRates:
    """The win rates of two models."""
    wins = {model: sum(pair.winner == model for pair in pairs) for model in models}
    ties = sum(pair.winner == Choice.TIE for pair in pairs)
    rates = {}
    for model, won in wins.items():
        lost = sum(wins.values()) - won
        values = [1.0] * won + [0.5] * ties + [0.0] * lost
        if values:
            stratum = [(value, 1.0) for value in values]
            rates[model] = estimate([stratum], samples=RESAMPLES, seed=seed)
    return WinRates(
        rates=rates,
        wins=wins,
        ties=ties,
        skipped=sum(pair.winner == Choice.SKIP for pair in pairs),
        unrated=sum(pair.winner is None for pair in pairs),
        p_value=mcnemar(*wins.values()),
    )
