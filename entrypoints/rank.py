"""A rank: one of the processes that train a run together, started by the run's worker."""

import logging
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType

from domain.events import EventKind
from domain.fingerprint import Json
from entrypoints.container import make_container
from ports.ranks import Training
from ports.trainer import TrainOutcome


def train(training: Training, rank: int, stop_asked: Callable[[], bool]) -> TrainOutcome:
    """Do this rank's part; the first rank alone records what happens.

    `stop_asked`, and SIGTERM, ask for a checkpoint and an end at the next step, which all ranks
    agree on.
    """
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True

    signal.signal(signal.SIGTERM, ask)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    container = make_container(str(Path(training.folder).parent))
    jobs = container.jobs()
    job = jobs.get(training.folder)

    def emit(kind: EventKind, data: Mapping[str, Json]) -> None:
        if rank == 0:
            jobs.append(job, kind, data)

    def ends() -> bool:
        return asked or stop_asked()

    if rank > 0:
        outcome: TrainOutcome = container.train_model()(training, emit, ends)
        return outcome
    with container.track_run()(job, training.spec, emit) as tracked:
        outcome = container.train_model()(training, tracked, ends)
    return outcome
