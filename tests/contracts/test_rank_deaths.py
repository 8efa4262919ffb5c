"""Ranks end with their worker: one killed early, killed late, or stopped at once."""

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from adapters.launch_process import ProcessLauncher
from adapters.launch_ranks import ElasticRankLauncher
from domain.job import WorkerId
from entrypoints.container import make_container
from ports.ranks import Training
from ports.trainer import TrainOutcome
from tests.contracts.rank_cases import training_of

LAUNCH = "import sys; from tests.contracts.test_rank_deaths import launch; launch(sys.argv[1])"
SLEEP_S = 300
WAIT_S = 120


@pytest.fixture
def folder(tiny_model: Path, rows_file: Path, tmp_path: Path) -> Path:
    """A run's folder, with a training of two ranks in it."""
    container, run = make_container(str(tmp_path)), tmp_path / "run"
    asked = {
        "model": {"name": str(tiny_model)},
        "data": {"train": [{"path": str(rows_file)}]},
        "parallelism": {"strategy": "ddp", "processes": 2},
    }
    training = training_of(container, run, asked)
    (run / "training.pickle").write_bytes(pickle.dumps(training))
    return run


@pytest.fixture
def worker(folder: Path) -> Iterator[psutil.Popen]:
    """A process in a session of its own that starts the ranks, as a worker does."""
    process = psutil.Popen(
        [sys.executable, "-c", LAUNCH, str(folder)],
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    yield process
    if process.is_running():
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def launch(folder: str) -> None:
    """What the worker does."""
    training: Training = pickle.loads((Path(folder) / "training.pickle").read_bytes())
    ElasticRankLauncher("tests.contracts.test_rank_deaths:linger").run(training, lambda: False)


def linger(training: Training, rank: int, stop_asked: Callable[[], bool]) -> TrainOutcome:
    """A rank that waits, as in a collective that never ends."""
    (Path(training.folder) / f"here-{rank}").touch()
    time.sleep(SLEEP_S)
    raise AssertionError("nobody ended this rank")


def ranks_of(worker: psutil.Popen) -> list[psutil.Process]:
    """The two ranks, once both are there."""
    deadline = time.monotonic() + WAIT_S
    while True:
        children = worker.children()
        found = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
        if len(found) == 2:
            return found
        assert time.monotonic() < deadline, "no ranks came"
        time.sleep(0.005)


def assert_ended(ranks: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(ranks, timeout=WAIT_S / 2)
    for rank in alive:
        rank.kill()
    assert not alive


def until_here(folder: Path) -> None:
    deadline = time.monotonic() + WAIT_S
    while len(list(folder.glob("here-*"))) < 2:
        assert time.monotonic() < deadline, "no rank began"
        time.sleep(0.05)


def test_ranks_die_with_a_killed_worker(worker: psutil.Popen, folder: Path) -> None:
    ranks = ranks_of(worker)
    until_here(folder)
    worker.kill()
    assert_ended(ranks)


def test_ranks_that_are_starting_die_with_a_killed_worker(
    worker: psutil.Popen, folder: Path
) -> None:
    """Killed when the ranks are there, and before they could ask to be told of it."""
    ranks = ranks_of(worker)
    time.sleep(0.5)  # what a rank is to do has been handed to it
    assert not list(folder.glob("here-*"))
    worker.kill()
    assert_ended(ranks)


def test_a_stop_now_ends_all_ranks(worker: psutil.Popen, folder: Path) -> None:
    ranks = ranks_of(worker)
    until_here(folder)
    ProcessLauncher().stop(WorkerId(pid=worker.pid, started_at=worker.create_time()), now=True)
    assert_ended(ranks)
