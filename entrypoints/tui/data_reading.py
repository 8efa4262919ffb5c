"""A run's data, read as its worker reads it: by the recorded spec, from the run's own folder."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, chdir, nullcontext
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from domain.errors import fail
from domain.job import Job

if TYPE_CHECKING:
    from domain.data_report import DataReport
    from domain.run_spec import RunSpec
    from entrypoints.container import Container
    from entrypoints.services.inspect_data import ShownRow

CHUNK_ROWS = 50
"""Rows read at once."""


class DataReader:
    """Reads one thing after the other, as the folder relative paths start from is the process's."""

    def __init__(self, container: "Container") -> None:
        self._container = container
        self._lock = Lock()

    def report(self, job: Job) -> "DataReport":
        """The account of all rows. Raises HextuneError for sources that cannot be read."""
        with self._lock, self._inside(job.working_folder):
            report: DataReport = self._container.inspect_data().report(self._spec(job))
        return report

    def rows(self, job: Job, first: int) -> Sequence["ShownRow"]:
        """Up to CHUNK_ROWS rows from number `first`. Raises HextuneError for rows with faults."""
        with self._lock, self._inside(job.working_folder):
            return list(self._container.inspect_data().show(self._spec(job), first, CHUNK_ROWS))

    def _spec(self, job: Job) -> "RunSpec":
        from ports.spec_reader import SpecText

        text = self._container.jobs().read_text(job, "spec.json") or ""
        recorded = SpecText(text=text, format="json", source="spec.json")
        spec: RunSpec = self._container.spec_reader().read(recorded).spec
        return spec

    def _inside(self, folder: str) -> AbstractContextManager[None]:
        if folder == self._container.surroundings().folder():
            return nullcontext()
        if not Path(folder).is_dir():
            raise fail("run-folder-gone", folder=folder)
        return chdir(folder)
