"""lm-evaluation-harness against our HTTP door, by the recipe of docs/lm-eval.md.

The harness asks like any client; what it reads off our server must be what our own scorer and
engine say of the same texts.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from adapters.catalog import FolderCatalog
from adapters.hardware import TorchHardware
from adapters.models.hf import HfModelBackend
from adapters.scorers.transformers import Scorer
from domain.conversation import Conversation, Message, Role
from domain.model_handle import ResolvedModel
from domain.run_spec import ModelSection
from domain.sampling import GenerationRequest, Sampling
from domain.scoring import ScoredGroup, ScoredItem
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
    "output_type": "multiple_choice",
    "doc_to_text": "{{question}}\nA. {{choices[0]}}\nB. {{choices[1]}}\nAnswer:",
    "doc_to_choice": ["A", "B"],
    "doc_to_target": "answer",
    "metric_list": [{"metric": "acc"}],
}
PROBLEMS = {
    "task": "hextune_problems",
    "output_type": "generate_until",
    "doc_to_text": "{{question}}",
    "doc_to_target": "answer",
    "generation_kwargs": {"until": ["###"], "max_gen_toks": 6},
    "metric_list": [{"metric": "exact_match"}],
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


def harness(engine: Any, folder: Path, task: dict[str, Any], kind: str, **more: str) -> list[Any]:
    """The samples lm-eval logs, in the order of the questions; `kind` as the recipe has it."""
    rows = folder / "rows.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in QUESTIONS), encoding="utf-8")
    source = {"dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(rows)}}}
    (folder / "task.yaml").write_text(json.dumps({**source, "test_split": "test", **task}))
    path = "chat/completions" if "chat" in kind else "completions"
    with serving(engine) as address:
        arguments = {"model": "tiny", "base_url": f"{address}/v1/{path}", **more}
        command = [
            str(PYTHON), "-m", "lm_eval", "run", "--model", kind,
            "--model_args", ",".join(f"{name}={value}" for name, value in arguments.items()),
            "--tasks", task["task"], "--include_path", str(folder),
            "--output_path", str(folder / "out"), "--log_samples",
            *(["--apply_chat_template"] if "chat" in kind else []),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=170)
    assert done.returncode == 0, done.stderr[-3000:]
    (log,) = (folder / "out").rglob("samples_*.jsonl")
    found = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return sorted(found, key=lambda each: each["doc_id"])


def test_its_likelihoods_are_our_scorers(
    engine: Any, resolved: ResolvedModel, tmp_path: Path
) -> None:
    samples = harness(
        engine, tmp_path, EXAM, "local-completions",
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
    for number, sample in enumerate(samples):
        found = [float(pair[0]) for pair in sample["filtered_resps"]]
        assert found == pytest.approx(wanted[number], abs=1e-3)


def test_its_answers_are_our_engines(engine: Any, tmp_path: Path) -> None:
    samples = harness(engine, tmp_path, PROBLEMS, "local-chat-completions", num_concurrent="1")
    for row, sample in zip(QUESTIONS, samples, strict=True):
        asked = GenerationRequest(
            model="tiny",
            conversation=Conversation((Message(Role.USER, str(row["question"])),)),
            sampling=Sampling(temperature=0.0, max_tokens=6, stop=("###",), seed=1234),
        )
        wanted = "".join(delta.text for delta in engine.generate(asked))
        assert sample["resps"][0][0].strip() == wanted.strip()


@pytest.mark.parametrize("kind", ["local-completions", "local-chat-completions"])
def test_the_recipe_names_what_is_tested(kind: str) -> None:
    recipe = RECIPE.read_text(encoding="utf-8")
    assert f"--model {kind}" in recipe
    assert "tokenized_requests=False" in recipe
