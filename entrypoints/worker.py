"""The worker: one process that does one run, started by any door as `hextune worker FOLDER`."""

import logging
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType

from domain.errors import problem
from domain.events import EventKind
from domain.job import JobKind, JobStatus
from entrypoints.container import make_container


def work(folder: str, *, resume: bool) -> int:
    """Do the run in `folder` to its end; exit code 0 unless it failed.

    SIGTERM and SIGINT ask for a checkpoint and an end at the next step.
    """
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    container = make_container(str(Path(folder).parent))
    try:
        does = {
            JobKind.TRAIN: container.execute_run,
            JobKind.EVALUATE: container.evaluate_model,
            JobKind.GENERATE: container.generate_pairs,
            JobKind.PIPELINE: container.execute_pipeline,
        }[container.jobs().get(folder).kind]
        job = does()(folder, resume=resume, stop_asked=lambda: asked)
    except Exception as error:  # the process boundary: whatever broke must be on record
        traceback.print_exc()
        reason = f"{type(error).__name__}: {error}"
        failure = problem("run-failed", reason=reason, log=str(Path(folder) / "worker.log"))
        jobs = container.jobs()
        job = jobs.end(jobs.get(folder), EventKind.FAILED, failure.as_json())
    return 0 if job.status is not JobStatus.FAILED else 1
