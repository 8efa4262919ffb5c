"""Start what a text asks for: a run, or a pipeline of them."""

from dataclasses import dataclass

from domain.job import Job
from entrypoints.services.start_pipeline import StartPipeline
from entrypoints.services.start_run import StartRun
from ports.pipeline_reader import PipelineReader
from ports.spec_reader import SpecText


@dataclass(frozen=True, slots=True)
class StartJob:
    """From text to a job that a worker has taken."""

    reader: PipelineReader
    start_run: StartRun
    start_pipeline: StartPipeline

    def __call__(self, text: SpecText, request_id: str | None = None) -> Job:
        """The new job, or the earlier one with the same request id. Raises HextuneError."""
        start = self.start_pipeline if self.reader.holds(text) else self.start_run
        return start(text, request_id)
