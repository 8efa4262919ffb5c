"""Kill workers at random moments, resume, and compare with runs that were left alone.

`python -m tests.kill_runs --kills 20` spreads the kills over four stages: sft (LoRA with dropout),
dpo over streamed rows, kto, and reward. A third of the kills wait for a checkpoint that is being
written. Every step's loss, the final weights and the numbers of the events must be as in a run
that nobody killed, bit for bit.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.checkpointing import COMPLETE
from domain.events import EventKind, JobEvent
from domain.job import Job, JobStatus
from entrypoints.container import Container, make_container
from ports.spec_reader import SpecText
from tests.fixtures.tiny_model import build_tiny_model

STEPS = 24
POLL_S = 0.002
PATIENCE_S = 240.0
STAGES: Mapping[str, Mapping[str, Any]] = {
    "sft": {"method": {"name": "lora", "rank": 4, "dropout": 0.1}},
    "dpo": {"data": {"streaming": True, "shuffle_buffer": 4}},
    "kto": {},
    "reward": {},
}


@dataclass(slots=True)
class Kills:
    """How often a worker died, and where it was."""

    during_checkpoint: int = 0
    elsewhere: int = 0
    damaged: int = 0
    """Half-written checkpoints that a resumed run passed over."""

    @property
    def count(self) -> int:
        return self.during_checkpoint + self.elsewhere


def rows_of(stage: str) -> Iterator[dict[str, Any]]:
    """Rows of the kind a stage eats."""
    for n in range(16):
        question, answer = f"What is {n} plus one?", f"In short: it is {n + 1}."
        if stage == "sft":
            yield {"instruction": question, "output": answer}
        elif stage == "kto":
            liked = n % 2 == 0
            output = answer if liked else "No idea."
            yield {"instruction": question, "output": output, "liked": liked}
        else:
            yield {"instruction": question, "chosen": answer, "rejected": "No idea at all."}


def spec_of(stage: str, model: Path, folder: Path) -> SpecText:
    """A small run of a stage, with a checkpoint every other step."""
    path = folder / f"{stage}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows_of(stage)), encoding="utf-8")
    source: dict[str, Any] = {"path": str(path)}
    if stage == "kto":
        source["columns"] = {"kto_tag": "liked"}
    more = dict(STAGES[stage])
    spec = {
        "model": {"name": str(model)},
        "data": {"train": [source], **more.pop("data", {})},
        "stage": {"name": stage},
        "method": {"name": "lora", "rank": 4},
        "optimizer": {"learning_rate": 0.01},
        "schedule": {"max_steps": STEPS},
        "batching": {"per_device": 2, "accumulate": 2},
        "output": {"checkpoint_every_steps": 2},
        **more,
    }
    return SpecText(text=json.dumps(spec), format="json", source=stage)


def kill_somewhere(container: Container, job: Job, chance: random.Random, kills: Kills) -> None:
    """End a worker with SIGKILL at a random moment, unless the run ends before."""
    assert job.worker is not None
    writing = chance.random() < 1 / 3
    begun = len(list(container.jobs().events(job)))
    steps = chance.randrange(1, 6)
    if writing:
        hit = wait_until(container, job, lambda: half_written(job))
    else:
        hit = wait_until(container, job, lambda: steps_since(container, job, begun) >= steps)
        time.sleep(chance.random() * 0.1)
    if hit and container.find_run()(job.id).status is JobStatus.RUNNING:
        during = half_written(job)
        os.kill(job.worker.pid, signal.SIGKILL)
        os.waitpid(job.worker.pid, 0)
        kills.during_checkpoint += during
        kills.elsewhere += not during


def wait_until(container: Container, job: Job, happened: Any) -> bool:
    """Whether it happened before the run ended."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if happened():
            return True
        if container.jobs().get(job.id).status.ended:
            return False
        time.sleep(POLL_S)
    raise TimeoutError(f"{job.id} neither moved nor ended in {PATIENCE_S:.0f} s")


def half_written(job: Job) -> bool:
    """Whether a checkpoint is being written now."""
    folders = list((Path(job.folder) / "checkpoints").glob("checkpoint-*"))
    return any(not (folder / COMPLETE).exists() for folder in folders)


def steps_since(container: Container, job: Job, seq: int) -> int:
    return sum(e.kind is EventKind.STEP for e in container.jobs().events(job, seq))


def finished(container: Container, job: Job) -> list[JobEvent]:
    """The events of a run, once it has ended well."""
    wait_until(container, job, lambda: False)
    assert job.worker is not None
    os.waitpid(job.worker.pid, 0)
    now = container.jobs().get(job.id)
    assert now.status is JobStatus.SUCCEEDED, now.problem
    return list(container.jobs().events(job))


def compare(whole: list[JobEvent], cut: list[JobEvent], folders: tuple[Path, Path]) -> None:
    """Raise AssertionError for any difference."""
    assert [event.seq for event in cut] == list(range(1, len(cut) + 1)), "numbers have gaps"
    reference = {e.data["step"]: e.data["loss"] for e in whole if e.kind is EventKind.STEP}
    assert len(reference) == STEPS
    for event in cut:
        if event.kind is EventKind.STEP:  # steps trained twice are equal both times
            assert event.data["loss"] == reference[event.data["step"]], event
    assert {e.data["step"] for e in cut if e.kind is EventKind.STEP} == reference.keys()
    for weights in folders[0].glob("*.safetensors"):
        assert weights.read_bytes() == (folders[1] / weights.name).read_bytes(), weights.name


def one_stage(stage: str, wanted: int, seed: int, folder: Path) -> Kills:
    """Kill a run of a stage so often, or until it ends, and compare; start another if it did."""
    container = make_container(str(folder / "runs"))
    model = build_tiny_model(folder / "model")
    text = spec_of(stage, model, folder)
    whole = container.start_run()(text)
    expected = finished(container, whole)
    chance, kills = random.Random(seed), Kills()
    while kills.count < wanted:
        job = container.start_run()(text)
        while kills.count < wanted:
            before = kills.count
            kill_somewhere(container, job, chance, kills)
            if kills.count == before:
                break
            container.find_run()(job.id)  # records that the worker died
            job = container.resume_run()(job.id)
        found = finished(container, job)
        kills.damaged += sum(e.data.get("code") == "run-checkpoint-damaged" for e in found)
        folders = Path(whole.folder) / "model", Path(job.folder) / "model"
        compare(expected, found, folders)
    return kills


def main() -> None:
    """Print one line a stage; exit by AssertionError where a run was not exact."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="workers to kill, over all stages")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stages", nargs="*", choices=list(STAGES), default=list(STAGES))
    asked = parser.parse_args()
    for number, stage in enumerate(asked.stages):
        share = asked.kills // len(asked.stages) + (number < asked.kills % len(asked.stages))
        with tempfile.TemporaryDirectory() as folder:
            began_s = time.monotonic()
            kills = one_stage(stage, share, asked.seed + number, Path(folder))
            took_s = time.monotonic() - began_s
        sys.stdout.write(
            f"{stage}: {kills.count} kills, {kills.during_checkpoint} of them while a checkpoint "
            f"was written, {kills.damaged} half-written ones passed over, exact, {took_s:.0f} s\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
