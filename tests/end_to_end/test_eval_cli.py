"""`tune eval` as a user meets it, over a tiny model and a tiny exam of one's own."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

EXAM = {
    "summary": "Ten questions of one's own",
    "source": "here",
    "files": "{subject}.csv",
    "columns": ["question", "A", "B", "answer"],
    "options": ["A", "B"],
    "intro": "About {subject}.\n\n",
    "question": "{question}\nA. {A}\nB. {B}\nAnswer:",
    "answer": " {answer}\n\n",
    "option": " {answer}",
    "subjects": {
        "law": {"name": "law", "category": "Humanities"},
        "maths": {"name": "maths", "category": "STEM"},
    },
}
DONE = re.compile(r"run (\S+)")


def tune(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hextune", *arguments],
        cwd=folder,
        env={**os.environ, "HEXTUNE_LANGUAGE": "en"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, rows_file: Path) -> Path:
    """An exam of two subjects, one row of it no question, and a finished training run."""
    folder = tmp_path_factory.mktemp("eval")
    (folder / "exam.json").write_text(json.dumps(EXAM), encoding="utf-8")
    for subject in ("law", "maths"):
        rows = [f"Is {n} a number of {subject}?,yes,no,{'AB'[n % 2]}\n" for n in range(5)]
        (folder / f"{subject}.csv").write_text("".join(rows), encoding="utf-8")
    with (folder / "law.csv").open("a") as file:
        file.write("No answer?,yes,no,C\n")
    spec = {
        "name": "tiny",
        "model": {"name": str(tiny_model)},
        "data": {"train": [{"path": str(rows_file)}]},
        "method": {"name": "lora", "rank": 4},
        "optimizer": {"learning_rate": 0.05},
        "schedule": {"max_steps": 6},
    }
    (folder / "run.json").write_text(json.dumps(spec), encoding="utf-8")
    done = tune(folder, "train", "run.json")
    assert done.returncode == 0, done.stderr
    return folder


def evaluated(folder: Path, *arguments: str) -> tuple[str, Any]:
    """(run id, results) of an evaluation that went well."""
    done = tune(folder, "eval", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    found = DONE.search(done.stderr)
    assert found is not None
    return found[1], json.loads(done.stdout)


def test_options_spec_compare_and_every_list(
    folder: Path, tiny_model: Path, rows_file: Path
) -> None:
    asked = ("--exam", "exam.json", "--path", ".", "--shots", "2")
    base, document = evaluated(folder, "--model", str(tiny_model), *asked)
    (result,) = document["evaluations"]
    assert result["models"][str(tiny_model)]["overall"]["items"] == 10
    assert result["excluded"] == ["law.csv:6 the answer 'C' is none of A, B"]

    spec = {
        "model": {"name": "last"},
        "exams": [{"name": "exam.json", "path": ".", "shots": 0}],
        "perplexity": [{"data": [{"path": str(rows_file)}]}],
    }
    (folder / "eval.json").write_text(json.dumps(spec), encoding="utf-8")
    tuned, document = evaluated(folder, "eval.json", "exams.0.shots=2")
    models = document["models"]
    assert models[0] == str(tiny_model)
    exam, perplexity = document["evaluations"]
    assert exam["models"][models[0]] == result["models"][str(tiny_model)]
    fell = perplexity["comparison"]
    assert fell["difference"]["high"] < 0, "training did not lower the perplexity of its own rows"
    assert fell["p_value"] < 0.01

    adapter = f"runs/{models[1]}/model"
    named = ("--model", str(tiny_model), "--adapter", adapter, *asked)
    _, document = evaluated(folder, *named)
    assert document["models"] == [str(tiny_model), adapter]
    assert document["evaluations"][0]["models"][adapter] == exam["models"][models[1]]

    compared = tune(folder, "eval", "compare", base, tuned, "--html", "both.html")
    assert compared.returncode == 0, compared.stderr
    assert "EXAM.JSON 2-SHOT" in compared.stdout
    assert f"{tuned} less {base}:" in compared.stdout
    for page in (folder / "both.html", folder / "runs" / tuned / "report.html"):
        text = page.read_text(encoding="utf-8")
        assert "<svg" in text
        assert not re.search(r"""(src|href)=["']http|<script|@import|url\(http""", text)

    shown = tune(folder, "eval", "show", tuned, "--all")
    assert "law" in shown.stdout
    assert "PERPLEXITY" in shown.stdout
    listed = json.loads(tune(folder, "runs", "--json").stdout)
    kinds = {job["id"]: job["kind"] for job in listed}
    assert (kinds[models[1]], kinds[base], kinds[tuned]) == ("train", "evaluate", "evaluate")
    watched = tune(folder, "watch", base)
    assert watched.returncode == 0
    assert "exam.json 2-shot: 10/10" in watched.stderr


def test_a_killed_worker_is_taken_up_without_repeating(
    tmp_path: Path, folder: Path, tiny_model: Path
) -> None:
    (tmp_path / "exam.json").write_bytes((folder / "exam.json").read_bytes())
    for subject in ("law", "maths"):
        rows = [f"Is {n} a number of {subject}?,yes,no,{'AB'[n % 2]}\n" for n in range(400)]
        (tmp_path / f"{subject}.csv").write_text("".join(rows), encoding="utf-8")
    asked = ("--exam", "exam.json", "--path", ".", "--shots", "0")
    run = tune(tmp_path, "eval", "--model", str(tiny_model), *asked, "--detach").stdout.strip()
    predictions = tmp_path / "runs" / run / "predictions.jsonl"
    deadline = time.monotonic() + 120
    while not predictions.exists() or predictions.read_bytes().count(b"\n") < 50:
        assert time.monotonic() < deadline, "nothing was measured"
        time.sleep(0.02)
    worker = json.loads((predictions.parent / "worker.json").read_text())
    os.kill(worker["pid"], signal.SIGKILL)
    before = predictions.read_bytes()
    assert before.count(b"\n") < 800, "it was over before it was killed"
    with predictions.open("ab") as file:
        file.write(b'{"evaluation": "torn')
    resumed = tune(tmp_path, "resume", run)
    assert resumed.returncode == 0, resumed.stderr
    assert f"continuing after step {before.count(bytes([10]))}" in resumed.stderr
    after = predictions.read_bytes()
    assert after.startswith(before[: before.rfind(b"\n") + 1])
    items = [json.loads(line)["item"] for line in after.splitlines()]
    assert len(items) == len(set(items)) == 800


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("--exam", "exam.json"), 2, "eval-no-model"),
        (("--model", "last", "--exam", "exam.json"), 2, "eval-exam-paths"),
        (("--model", "last", "--exam", "exam.json", "--path", "gone"), 3, "exam-path-missing"),
        (("--model", "last"), 2, "eval-nothing-asked"),
        (("nowhere.yaml",), 3, "spec-file-missing"),
        (("run.json",), 2, "spec-unknown-key"),
        (("run.json", "--limit", "3"), 2, "eval-asks-twice"),
        (("compare", "nope", "nope"), 3, "run-missing"),
    ],
)
def test_a_mistake_is_an_error_with_a_hint(
    folder: Path, arguments: tuple[str, ...], status: int, said: str
) -> None:
    done = tune(folder, "eval", *arguments)
    assert (done.returncode, f"[{said}]" in done.stderr) == (status, True), done.stderr
    assert "hint:" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_error_is_json_on_demand(folder: Path) -> None:
    done = tune(folder, "eval", "--model", "last", "--json")
    assert json.loads(done.stdout)["errors"][0]["code"] == "eval-nothing-asked"


def test_the_schema_describes_a_spec(folder: Path) -> None:
    schema = json.loads(tune(folder, "eval", "schema").stdout)
    assert "exams" in schema["properties"]


def test_free_answers_of_base_and_tuned(folder: Path, rows_file: Path) -> None:
    _, found = evaluated(folder, "--model", "last", "--answers", str(rows_file), "--limit", "2")
    titles = [each["title"].removeprefix(f"answers {rows_file} ") for each in found["evaluations"]]
    assert titles == ["bleu-4", "rouge-1", "rouge-2", "rouge-l"]
    for each in found["evaluations"]:
        assert len(each["models"]) == 2
        assert all(made["overall"]["items"] == 2 for made in each["models"].values())
        assert each["comparison"]["test"] == "paired bootstrap"
