"""Start a step that writes rows: record it as a run of its own, and hand it to a worker process."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from domain.events import EventKind
from domain.fingerprint import Json, canonical, fingerprint
from domain.job import Job, JobKind, PartOf
from domain.pipeline import GenerateSection
from entrypoints.services.generate_pairs import prompts_of
from entrypoints.services.start_run import run_id
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
        now = self.surroundings.now()
        document = {"spec": read.spec.as_json(), "generate": asdict(asked)}
        job = Job(
            id=run_id(read.spec.name, now, self.surroundings.token()),
            name=read.spec.name,
            folder="",
            working_folder=self.surroundings.folder(),
            spec_hash=fingerprint(document),
            created_at=now,
            queued_at=now,
            kind=JobKind.GENERATE,
            request_id=request_id,
            total_steps=total,
            part_of=part_of,
        )
        recorded = self.jobs.create(job, {"spec.json": canonical(document)})
        if recorded.id != job.id:
            return recorded
        data: dict[str, Json] = {"spec_hash": job.spec_hash, "total_steps": total}
        self.jobs.append(recorded, EventKind.CREATED, data)
        return self.jobs.assign(recorded, self.launcher.start(recorded, resume=False))
