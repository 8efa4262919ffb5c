"""What the process launcher promises: workers that outlive their starter, told from others."""

import json
import time
from dataclasses import replace
from pathlib import Path

from adapters.launch_process import ProcessLauncher
from domain.job import Job, WorkerId


def sleeper(tmp_path: Path) -> Job:
    """A job whose folder is no run: its worker ends at once with an error in its log."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "job.json").write_text(json.dumps({}))
    return Job(
        id="run",
        name="run",
        folder=str(folder),
        working_folder=str(tmp_path),
        spec_hash="0",
        created_at=0.0,
    )


def wait_until_gone(launcher: ProcessLauncher, worker: WorkerId, seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while launcher.alive(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not launcher.alive(worker)


def test_a_worker_is_alive_until_it_ends_and_its_output_is_kept(tmp_path: Path) -> None:
    launcher, job = ProcessLauncher(), sleeper(tmp_path)
    worker = launcher.start(job, resume=False)
    assert launcher.alive(worker)
    assert wait_until_gone(launcher, worker)
    assert "run-damaged" in (tmp_path / "run" / "worker.log").read_text()


def test_another_process_with_the_same_number_is_not_the_worker(tmp_path: Path) -> None:
    launcher = ProcessLauncher()
    worker = launcher.start(sleeper(tmp_path), resume=False)
    assert not launcher.alive(replace(worker, started_at=worker.started_at - 100))
    launcher.stop(worker, now=True)
    assert wait_until_gone(launcher, worker)
    launcher.stop(worker)  # a worker that is gone needs no stopping
