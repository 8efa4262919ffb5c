"""Pipelines at the command line: killed in the middle of a step, resumed, and chatted with."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from entrypoints.cli.main import run
from tests.end_to_end.test_cli import Spec, events_of, losses_of, spec, wait_until, write

__all__ = ["spec"]
Tune = Callable[..., subprocess.CompletedProcess[str]]
LONG_S = 300.0
"""Two workers have to start, one after the other, on a machine that may be busy."""


@pytest.fixture
def tune(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Tune:
    """The command line in this process; workers are processes of their own all the same."""
    monkeypatch.chdir(tmp_path)

    def called(*arguments: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["tune", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run()
        said = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, int(ended.value.code or 0), *said)

    return called


def step_run(runs: Path, step: str) -> Path:
    """The folder of a step's run."""
    (found,) = runs.glob(f"*-tiny-{step}-*")
    return found


def kill(run: Path) -> None:
    os.kill(json.loads((run / "worker.json").read_text())["pid"], signal.SIGKILL)


def test_a_pipeline_killed_in_the_middle_of_a_step_goes_on_to_the_same_end(
    tmp_path: Path, spec: Spec, rows_file: Path, tune: Tune
) -> None:
    """kill -9 of both workers, `tune resume last`: the step's losses and weights are a run's."""
    whole: dict[str, Any] = {**spec, "schedule": {"max_steps": 24}}
    pairs = tmp_path / "pairs.jsonl"
    with pairs.open("w") as file:
        for line in rows_file.read_text().splitlines():
            row = json.loads(line)
            pair = {"prompt": row["instruction"], "chosen": row["output"], "rejected": "No."}
            file.write(json.dumps(pair) + "\n")
    dpo = {"name": "dpo", "stage": {"name": "dpo"}, "schedule": {"max_steps": 2},
           "data": {"train": [{"path": str(pairs)}], "eval_fraction": None}}  # fmt: skip
    path = write(tmp_path, {**whole, "pipeline": [{"name": "sft"}, dpo]})

    started = tune("train", path, "--detach")
    assert started.returncode == 0, started.stderr
    name = started.stdout.strip()
    runs = tmp_path / "runs"
    wait_until(lambda: any(runs.glob("*-tiny-sft-*")), LONG_S)
    sft = step_run(runs, "sft")
    wait_until(
        lambda: (sft / "events.jsonl").exists() and max(losses_of(sft), default=0) >= 5, LONG_S
    )
    kill(runs / name)
    kill(sft)
    wait_until(lambda: {job["status"] for job in json.loads(tune("runs", "--json").stdout)}
               == {"failed"})  # fmt: skip

    resumed = tune("resume", "last")
    assert resumed.returncode == 0, resumed.stderr
    assert f"step sft (1/2): succeeded, run {sft.name}" in resumed.stderr
    assert f"chat    tune chat {name}" in resumed.stderr
    kinds = [event["kind"] for event in events_of(sft)]
    assert (kinds.count("resumed"), kinds.count("succeeded")) == (1, 1)
    listed = json.loads(tune("runs", "--json").stdout)
    assert {(job["kind"], job["status"]) for job in listed} == {
        ("pipeline", "succeeded"), ("train", "succeeded"),
    }  # fmt: skip

    alone = tmp_path / "alone.json"
    alone.write_text(json.dumps({**whole, "name": "tiny-sft"}), encoding="utf-8")
    assert tune("train", str(alone), "--runs", "alone").returncode == 0
    (single,) = (tmp_path / "alone").glob("*-tiny-*")
    assert losses_of(sft) == losses_of(single)
    ours, theirs = (each / "model" / "adapter_model.safetensors" for each in (sft, single))
    assert ours.read_bytes() == theirs.read_bytes()
    asked = tune("chat", "last", "--ask", "What?", "--json", "--max-tokens", "4")
    assert json.loads(asked.stdout)["answers"].keys() == {step_run(runs, "dpo").name}


def test_a_plan_shows_every_step_and_a_mistake_with_its_line(
    tmp_path: Path, spec: Spec, tune: Tune
) -> None:
    path = tmp_path / "p.yaml"
    steps = "pipeline:\n  - name: sft\n  - {name: more, method: {rank: 2}}\n"
    shared = f"model: {{name: {spec['model']['name']}}}\n"
    shared += f"data: {{train: [{{path: {spec['data']['train'][0]['path']}}}]}}\n"
    path.write_text(shared + steps, encoding="utf-8")
    planned = tune("plan", str(path))
    assert planned.returncode == 0, planned.stderr
    assert [line.split()[:2] for line in planned.stdout.splitlines()[1:3]] == [
        ["sft", spec["model"]["name"]], ["more", "sft"],
    ]  # fmt: skip
    assert "more: not known yet: the adapter of step sft" in planned.stderr
    path.write_text(shared + steps.replace("name: more", "name: more, from: les"), encoding="utf-8")
    refused = tune("train", str(path))
    assert refused.returncode == 2
    assert f"{path}:5 pipeline.1.from" in refused.stderr
    assert not (tmp_path / "runs").exists()
