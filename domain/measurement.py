"""Measurements: what one model made of one item of an evaluation, whatever the kind.

All kinds of evaluation write such records, so that resuming, averages, intervals, significance,
comparisons and reports are made once for all of them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from domain.fingerprint import Json


class Metric(StrEnum):
    """What the values of an evaluation are, and how their average is shown."""

    ACCURACY = "accuracy"
    """1 for right and 0 for wrong; shown as the share that is right."""
    PERPLEXITY = "perplexity"
    """Nats per token, weighted by tokens; shown as e to the average. Lower is better."""

    SHARE = "share"
    """Between 0 and 1, such as ROUGE; shown in percent."""
    RATING = "rating"
    """Ratings on a scale of their own."""

    def shown(self, mean: float) -> float:
        """An average as it is shown."""
        return math.exp(min(mean, 700.0)) if self is Metric.PERPLEXITY else mean

    @property
    def percent(self) -> bool:
        """Whether its figures are shown times 100."""
        return self in (Metric.ACCURACY, Metric.SHARE)

    @property
    def higher_is_better(self) -> bool:
        """Whether more of it is better."""
        return self is not Metric.PERPLEXITY


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One line of predictions.jsonl."""

    evaluation: str
    """Title of the evaluation."""
    item: str
    """Content hash of what was asked; equal items of two runs have the same."""
    model: str
    """The model, as results name it."""
    subject: str
    """The subject, or the file."""
    category: str
    """The category of the subject."""
    value: float
    """The figure that is averaged."""
    weight: float = 1.0
    """How much it counts."""
    also: Sequence[str] = ()
    """Further categories of the subject."""
    length: int = 0
    """Length of the item, in the evaluation's unit."""
    detail: Mapping[str, Json] = field(default_factory=dict)
    """What people want to see: the question, the answer, the scores."""

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it apart within a run."""
        return (self.evaluation, self.item, self.model)

    def as_json(self) -> dict[str, Json]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Measurement":
        """The measurement `as_json` described."""
        return cls(**values)
