"""Reports of an evaluation."""

from collections.abc import Sequence
from typing import Protocol

from domain.eval_results import EvaluationResult


class EvaluationReportWriter(Protocol):
    """Draws what was measured."""

    def write(self, path: str, heading: str, results: Sequence[EvaluationResult]) -> None:
        """Write one HTML page that needs nothing from elsewhere."""
