"""Start a step that writes rows: record it as a run of its own, and hand it to a worker process."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from domain.fingerprint import canonical, fingerprint
from domain.job import Job, JobKind, PartOf
from domain.pipeline import GenerateSection
from entrypoints.services.generate_pairs import prompts_of
from entrypoints.services.record_job import record_and_start
from ports.datasets import RowReader
from ports.jobs import JobStore
from ports.launcher import WorkerLauncher
from ports.spec_reader import SpecReader, SpecText
from ports.surroundings import Surroundings


@dataclass(frozen=True, slots=True)
class StartGeneration:
    """From a step whose references are runs to a job that a worker has taken."""

    reader: SpecReader
    rows: RowReader
    jobs: JobStore
    launcher: WorkerLauncher
    surroundings: Surroundings

    def __call__(
        self, spec: Mapping[str, Any], asked: GenerateSection, request_id: str, part_of: PartOf
    ) -> Job:
        """The new job, or the earlier one with the same request id. Raises HextuneError."""
        read = self.reader.read(SpecText(text=json.dumps(spec), format="json", source="spec.json"))
        total = len(prompts_of(self.rows, read.spec))
        self.jobs.check_writable(0)
        document = {"spec": read.spec.as_json(), "generate": asdict(asked)}
        return record_and_start(
            self.jobs,
            self.launcher,
            self.surroundings,
            {"spec.json": canonical(document)},
            name=read.spec.name,
            spec_hash=fingerprint(document),
            kind=JobKind.GENERATE,
            request_id=request_id,
            total_steps=total,
            part_of=part_of,
        )
