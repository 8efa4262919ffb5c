"""Answers of a learning policy written by vLLM: those of the policy as it is, and refusals."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.vllm_command import PYTHON
from adapters.vllm_writer import VllmWriter
from domain.conversation import Message, Role
from domain.errors import HextuneError
from domain.prompted import Prompted
from domain.run_spec import ModelSection
from entrypoints.container import Container, make_container
from tests.contracts.rl_runs import figures, planned
from tests.contracts.test_trainer import run
from tests.fixtures.tiny_model import build_tiny_model

PROMPTS = [(Prompted((Message(Role.USER, "?"),), ""), ids) for ids in ([5, 6, 7], [*range(9, 59)])]
"""A short one, and one long enough for vLLM to keep what it made of it."""
COLD = 0.01
"""The lowest temperature that vLLM takes; only the likeliest token is drawn."""
needs_vllm = pytest.mark.skipif(PYTHON not in os.environ, reason=f"{PYTHON} names no Python")


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that knows what it wants to say; its heads are 32 wide, the least that vLLM runs
    on a CPU."""
    from transformers import AutoModelForCausalLM

    folder = build_tiny_model(tmp_path_factory.mktemp("models") / "tiny", heads=2)
    network = AutoModelForCausalLM.from_pretrained(folder)
    network.lm_head.weight.data *= 20
    network.save_pretrained(folder)
    return folder


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return make_container(str(tmp_path / "runs"))


@pytest.fixture
def network(container: Container, tiny_model: Path) -> Any:
    """A tiny model with a LoRA adapter that changes what it says."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(tiny_model)
    config = LoraConfig(r=8, target_modules="all-linear", init_lora_weights=False)
    return get_peft_model(base, config)


@pytest.fixture
def writer(container: Container, tiny_model: Path) -> Iterator[VllmWriter]:
    model = container.models().inspect(ModelSection(name=str(tiny_model)))
    opened = VllmWriter(tokenizer(tiny_model), 8, COLD, model)
    yield opened
    opened.close()


def tokenizer(model: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model)


@needs_vllm
def test_vllm_writes_as_the_policy_that_learns(writer: VllmWriter, network: Any) -> None:
    import torch

    for factor in (1, -3):
        with torch.no_grad():
            for name, weight in network.named_parameters():
                if "lora_B" in name:
                    weight.mul_(factor)
            for answer in writer.write(network, PROMPTS, [1, 2]):
                start, ids = len(answer.prompt), torch.tensor([[*answer.prompt, *answer.tokens]])
                logits_TV = network(ids).logits[0, start - 1 : -1]
                chosen_T = logits_TV.gather(-1, ids[0, start:, None])[:, 0]
                assert (logits_TV.amax(-1) - chosen_T).max() < 0.1  # of a spread of several


@needs_vllm
def test_a_run_learns_from_what_vllm_writes(
    container: Container, tiny_model: Path, tmp_path: Path
) -> None:
    options = {"engine": "vllm", "generations": 8, "max_new_tokens": 8}
    schedule = {"max_steps": 7, "scheduler": "constant"}
    plan = planned(container, tiny_model, tmp_path, "grpo", options=options, schedule=schedule)
    _, events = run(container, plan, tmp_path / "run")
    found = figures(events, "rewards/mean")
    assert sum(found[-3:]) / 3 > sum(found[:2]) / 2 + 0.3


def test_a_python_without_vllm_is_told_before_anything_loads(
    container: Container, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for python in (sys.executable, "/nowhere/python"):
        monkeypatch.setenv(PYTHON, python)
        with pytest.raises(HextuneError) as caught:
            planned(container, tiny_model, tmp_path, "grpo", options={"engine": "vllm"})
        (found,) = caught.value.problems
        assert (found.code, found.facts["python"]) == ("vllm-missing", python)
