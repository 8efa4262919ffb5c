"""The command line as a user meets it, over a tiny model that trains in a second."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

Spec = dict[str, Any]


@pytest.fixture
def spec(tiny_model: Path, rows_file: Path) -> Spec:
    return {
        "name": "tiny",
        "model": {"name": str(tiny_model)},
        "data": {"train": [{"path": str(rows_file)}], "eval_fraction": 0.25},
        "method": {"name": "lora", "rank": 4},
        "optimizer": {"learning_rate": 0.01},
        "schedule": {"max_steps": 6},
        "batching": {"per_device": 2},
        "output": {"checkpoint_every_steps": 2},
    }


def write(folder: Path, spec: Spec) -> str:
    path = folder / "run.json"
    path.write_text(json.dumps(spec), encoding="utf-8")
    return str(path)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "hextune", *arguments]


def tune(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def events_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]


def losses_of(run: Path) -> dict[int, float]:
    steps = [event["data"] for event in events_of(run) if event["kind"] == "step"]
    return {step["step"]: step["loss"] for step in steps}


def test_a_run_from_spec_to_chat_and_merge(tmp_path: Path, spec: Spec) -> None:
    trained = tune(tmp_path, "train", write(tmp_path, spec))
    assert trained.returncode == 0, trained.stderr
    assert "step 6/6" in trained.stderr
    (run,) = (tmp_path / "runs").glob("*-tiny-*")
    for name in ("spec.json", "plan.json", "manifest.json", "results.json", "loss.png"):
        assert (run / name).stat().st_size > 0, name
    page = (run / "report.html").read_text()
    assert "<svg" in page
    assert not re.search(r"""(src|href)=["']http|<script|@import|url\(http""", page)
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["versions"]["torch"]
    assert manifest["data"]["fingerprint"]
    assert [e["seq"] for e in events_of(run)] == list(range(1, len(events_of(run)) + 1))

    listed = json.loads(tune(tmp_path, "runs", "--json").stdout)
    assert [(job["id"], job["status"]) for job in listed] == [(run.name, "succeeded")]
    asked = tune(
        tmp_path, "chat", "last", "--ask", "What?", "--compare", "--json", "--max-tokens", "8",
        "--temperature", "0",
    )  # fmt: skip
    answers = json.loads(asked.stdout)["answers"]
    assert list(answers) == [spec["model"]["name"], run.name]
    merged = tune(tmp_path, "merge", "last", "--output", "merged", "--json")
    assert json.loads(merged.stdout)["max_difference"] < 1e-3
    again = tune(tmp_path, "chat", "merged", "--ask", "What?", "--json", "--temperature", "0",
                 "--max-tokens", "8")  # fmt: skip
    assert list(json.loads(again.stdout)["answers"].values()) == [answers[run.name]]


def test_ctrl_c_saves_and_kill_9_loses_nothing(tmp_path: Path, spec: Spec) -> None:
    """A run stopped, then killed, then resumed ends with the losses of one that ran through."""
    spec["schedule"] = {"max_steps": 150}
    path = write(tmp_path, spec)
    assert tune(tmp_path, "train", path, "--runs", "whole").returncode == 0
    (whole,) = (tmp_path / "whole").glob("*-tiny-*")

    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run in the back
    process = subprocess.Popen(
        command("train", path), cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    wait_for_step(process.stderr, 5)
    process.send_signal(signal.SIGINT)
    rest = process.stderr.read()
    assert process.wait(60) == 130
    assert "tune resume" in rest
    (run,) = (tmp_path / "runs").glob("*-tiny-*")
    assert json.loads((run / "job.json").read_text())["status"] == "stopped"
    assert (run / "checkpoints").glob("*/complete")

    assert tune(tmp_path, "resume", "last", "--detach").stdout.strip() == run.name
    wait_until(lambda: max(losses_of(run), default=0) >= 15)
    os.kill(json.loads((run / "worker.json").read_text())["pid"], signal.SIGKILL)
    wait_until(lambda: "failed" in tune(tmp_path, "runs").stdout)
    assert events_of(run)[-1]["data"]["code"] == "run-lost"

    resumed = tune(tmp_path, "resume", "last")
    assert resumed.returncode == 0, resumed.stderr
    assert losses_of(run) == losses_of(whole)
    ours, theirs = (each / "model" / "adapter_model.safetensors" for each in (run, whole))
    assert ours.read_bytes() == theirs.read_bytes()
    assert [e["seq"] for e in events_of(run)] == list(range(1, len(events_of(run)) + 1))


def wait_for_step(lines: Iterator[str], step: int) -> None:
    for line in lines:
        if line.startswith(f"step {step}/"):
            return
    raise AssertionError(f"step {step} never came")


def wait_until(true: Any, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.1)


def test_five_mistakes_are_five_errors_with_their_lines(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(
        "model: {name: /no/such/model}\n"
        "data:\n"
        "  train: [{pth: rows.jsonl}]\n"
        "method:\n"
        "  name: lora\n"
        "  rank: 0\n"
        "optimizer: {learning_rate: fast}\n"
        "stage: {name: sfft}\n"
        "schedule: {epochs: 0}\n"
    )
    found = tune(tmp_path, "train", "bad.yaml", "--json")
    assert found.returncode == 2
    errors = json.loads(found.stdout)["errors"]
    assert sorted((error["line"], error["code"]) for error in errors) == [
        (3, "spec-unknown-key"),
        (6, "spec-bad-value"),
        (7, "spec-bad-value"),
        (8, "spec-unknown-name"),
        (9, "spec-bad-value"),
    ]
    assert all(error["hint"] and error["file"] == "bad.yaml" for error in errors)
    assert not (tmp_path / "runs").exists()


def test_bad_rows_a_missing_model_and_a_broken_rule_come_together(
    tmp_path: Path, spec: Spec
) -> None:
    rows = tmp_path / "bad.jsonl"
    rows.write_text('{"instruction": "a", "output": "b"}\n{"instruction": "c", "output": 7}\n')
    spec["model"] = {"name": "./no-model"}
    spec["data"] = {"train": [{"path": "bad.jsonl"}]}
    spec["schedule"] = {"max_steps": 3, "epochs": 1}
    found = tune(tmp_path, "plan", write(tmp_path, spec))
    assert found.returncode == 3
    assert "bad.jsonl:2 output: " in found.stderr
    assert "There is no model at `./no-model`" in found.stderr
    assert "rule-one-length" in found.stderr
    assert "Traceback" not in found.stderr


def test_an_unwritable_place_for_runs_fails_before_training(tmp_path: Path, spec: Spec) -> None:
    (tmp_path / "runs").write_text("a file where the folder should be")
    found = tune(tmp_path, "train", write(tmp_path, spec))
    assert found.returncode == 4
    assert "output-unwritable" in found.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("runs",), 0),
        (("stop", "nope"), 3),
        (("train", "nope.yaml"), 3),
        (("explain", "nope"), 3),
        (("help", "exit-codes"), 0),
        (("list", "methods"), 0),
        (("no-such-command",), 2),
        (("serve", "http", "--host", "0.0.0.0", "--model", "nope/../nope"), 3),
    ],
)
def test_exit_codes_are_the_documented_ones(
    tmp_path: Path, arguments: tuple[str, ...], code: int
) -> None:
    found = tune(tmp_path, *arguments)
    assert found.returncode == code, found.stderr
    assert "Traceback" not in found.stderr


def test_errors_speak_the_users_language(tmp_path: Path) -> None:
    found = tune(tmp_path, "train", "nope.yaml", HEXTUNE_LANGUAGE="ru")
    assert "Файла спецификации `nope.yaml` нет" in found.stderr


def test_a_starter_is_written_once(tmp_path: Path) -> None:
    assert tune(tmp_path, "new", "mine.yaml").returncode == 0
    assert "tune schema" in (tmp_path / "mine.yaml").read_text()
    assert tune(tmp_path, "new", "mine.yaml").returncode == 2


def test_doctor_names_what_is_missing_and_how_to_get_it(tmp_path: Path) -> None:
    found = json.loads(tune(tmp_path, "doctor", "--json").stdout)
    optional = {item["name"]: item for item in found["optional"]}
    assert set(optional) >= {"flash-attn", "unsloth", "bitsandbytes", "deepspeed", "vllm"}
    assert all(item["hint"].startswith("needs ") for item in optional.values())
    assert found["device"]["cores"] >= 1
