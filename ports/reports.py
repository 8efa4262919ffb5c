"""Reports of a finished run."""

from collections.abc import Sequence
from typing import Protocol

from domain.events import JobEvent
from domain.job import Job


class ReportWriter(Protocol):
    """Draws what a run did."""

    def histogram(self, path: str, lengths: Sequence[int], limit: int) -> None:
        """Draw how long rows are, in tokens, with the limit marked, as a PNG file."""

    def write(
        self, job: Job, events: Sequence[JobEvent], documents: dict[str, dict[str, object]]
    ) -> None:
        """Write loss.png and report.html into the run folder.

        `documents` are the run's spec, plan, manifest and results as JSON values.
        """
