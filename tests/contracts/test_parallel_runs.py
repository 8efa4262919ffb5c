"""A run of two ranks as a user meets it: killed, stopped, resumed, and as good as one process."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from domain.job import Job, JobStatus
from entrypoints.container import Container, make_container
from ports.spec_reader import SpecText
from tests.contracts.rank_cases import train_here, training_of

STEPS = 40


def spec(model: Path, rows: Path, **sections: Any) -> dict[str, Any]:
    return {
        "model": {"name": str(model)},
        "data": {"train": [{"path": str(rows)}]},
        "method": {"name": "lora", "rank": 4},
        "optimizer": {"learning_rate": 0.003},
        "schedule": {"max_steps": STEPS},
        "batching": {"per_device": 4},
        "precision": {"mode": "full"},
        "output": {"checkpoint_every_steps": 4},
        **sections,
    }


def until(true: Callable[[], bool], seconds: float = 600) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def losses(job: Job) -> dict[int, float]:
    path = Path(job.folder) / "events.jsonl"
    events = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    steps = [event["data"] for event in events if event["kind"] == "step"]
    return {step["step"]: step["loss"] for step in steps}


def ranks_of(job: Job) -> list[psutil.Process]:
    """The ranks' processes, in order."""
    worker = json.loads((Path(job.folder) / "worker.json").read_text(encoding="utf-8"))["pid"]
    children = psutil.Process(worker).children()
    found = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    return sorted(found, key=lambda child: child.create_time())


def ended(container: Container, job: Job) -> Job:
    until(lambda: bool(container.find_run()(job.id).status.ended))
    found: Job = container.find_run()(job.id)
    return found


def test_a_run_of_two_ranks_survives_a_killed_rank_and_a_stop(
    tiny_model: Path, rows_file: Path, tmp_path: Path
) -> None:
    container = make_container(str(tmp_path / "runs"))
    asked = spec(tiny_model, rows_file, batching={"per_device": 2})
    asked["parallelism"] = {"strategy": "ddp", "processes": 2}
    text = SpecText(text=json.dumps(asked), format="json", source="test")
    job = container.start_run()(text, None)
    until(lambda: max(losses(job), default=0) >= 6)
    os.kill(ranks_of(job)[1].pid, signal.SIGKILL)
    failed = ended(container, job)
    assert failed.status is JobStatus.FAILED
    assert failed.problem is not None
    assert failed.problem["code"] == "run-rank-died"
    assert failed.problem["facts"]["rank"] == "1"
    assert failed.problem["facts"]["reason"] == "SIGKILL"

    container.resume_run()(job.id)
    reached = max(losses(job))
    until(lambda: max(losses(job)) > reached + 1)
    container.stop_run()(job.id)
    stopped = ended(container, job)
    assert stopped.status is JobStatus.STOPPED, stopped.problem
    assert max(losses(job)) < STEPS

    container.resume_run()(job.id)
    done = ended(container, job)
    assert done.status is JobStatus.SUCCEEDED, done.problem
    whole = train_here(
        container, training_of(container, tmp_path / "whole", spec(tiny_model, rows_file))
    )
    assert losses(job) == pytest.approx(whole.losses, rel=2e-5)
    assert (Path(job.folder) / "ranks" / "1.log").exists()
