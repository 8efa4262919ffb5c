"""What vLLM is started with for adapters' sake, and what it tells of tokens."""

from pathlib import Path
from typing import Any

import pytest

from adapters.vllm_adapters import VllmAdapters
from adapters.vllm_logprobs import LogprobReader
from domain.sampling import TextDelta
from tests.fixtures.tiny_model import tiny_tokenizer


@pytest.fixture
def adapter(tmp_path: Path) -> str:
    """A LoRA adapter of rank 12."""
    return saved_adapter(tmp_path / "adapter", 12)


def saved_adapter(folder: Path, rank: int) -> str:
    import torch
    from peft import LoraConfig, get_peft_model

    network: Any = torch.nn.Sequential(torch.nn.Linear(16, 16))
    get_peft_model(network, LoraConfig(r=rank, target_modules=["0"])).save_pretrained(folder)
    return str(folder)


def value(arguments: list[str], name: str) -> str:
    return arguments[arguments.index(name) + 1]


def test_a_base_alone_costs_no_lora_on_a_cpu() -> None:
    arguments = VllmAdapters("base", {}, cpu=True).arguments()
    assert arguments == ["--served-model-name", "base"]


def test_elsewhere_there_is_room_from_the_beginning(adapter: str) -> None:
    adapters = VllmAdapters("base", {}, cpu=False)
    assert not adapters.make_room(adapter)
    arguments = adapters.arguments()
    assert "--enable-lora" in arguments
    assert value(arguments, "--max-lora-rank") == "64"
    assert value(arguments, "--served-model-name") == "base"
    assert "--lora-modules" not in arguments


def test_on_a_cpu_the_rank_is_no_larger_than_needed(adapter: str, tmp_path: Path) -> None:
    adapters = VllmAdapters("base", {"tuned": adapter}, cpu=True)
    assert value(adapters.arguments(), "--max-lora-rank") == "16"
    assert not adapters.make_room(saved_adapter(tmp_path / "small", 4))
    assert adapters.make_room(saved_adapter(tmp_path / "large", 17))
    assert value(adapters.arguments(), "--max-lora-rank") == "32"
    adapters.close()


def test_beside_adapters_on_a_cpu_the_base_is_one_that_changes_nothing(adapter: str) -> None:
    import json

    from peft.utils import load_peft_weights

    adapters = VllmAdapters("base", {}, cpu=True)
    assert adapters.make_room(adapter)
    adapters.add("late", adapter)
    arguments = adapters.arguments()
    assert value(arguments, "--served-model-name") != "base"
    assert value(arguments, "--max-loras") == "3"
    found = [json.loads(each) for each in arguments[arguments.index("--lora-modules") + 1 :]]
    assert [each["name"] for each in found] == ["late", "base"]
    weights = load_peft_weights(found[1]["path"], device="cpu")
    assert weights
    assert not any(weight.any() for weight in weights.values())
    adapters.remove("late")
    assert "late" not in " ".join(adapters.arguments())
    adapters.close()
    assert not Path(found[1]["path"]).exists()


def read(tokenizer: Any, texts: list[int], *, reason: str | None, echoed: int = 0) -> TextDelta:
    names = [f"token_id:{token}" for token in texts]
    top = [{name: -1.0, "token_id:0": -2.0, "token_id:1": -0.5} for name in names]
    told = {"tokens": names, "token_logprobs": [-1.0] * len(names), "top_logprobs": top}
    reader = LogprobReader(tokenizer, frozenset({tokenizer.eos_token_id}), 2, echoed)
    return reader.read({"text": "…", "logprobs": told, "finish_reason": reason})


def test_tokens_of_one_character_are_told_apart_and_stand_in_one_place() -> None:
    tokenizer = tiny_tokenizer()
    pieces = tokenizer("aé!")["input_ids"]
    assert len(pieces) == 4
    told = read(tokenizer, pieces, reason="length").logprobs
    assert [each.text for each in told] == ["a", "\ufffd", "\ufffd", "!"]
    assert [each.offset for each in told] == [0, 1, 1, 2]
    best = tokenizer.decode([1])
    assert [each.top for each in told[:1]] == [((best, -0.5), ("a", -1.0))]


def test_the_token_that_ends_an_answer_is_told_behind_a_prompt_only() -> None:
    tokenizer = tiny_tokenizer()
    end = tokenizer.eos_token_id
    ids = [*tokenizer("ab")["input_ids"], end]
    assert len(read(tokenizer, ids, reason="stop").logprobs) == len(ids) - 1
    assert len(read(tokenizer, ids, reason="length").logprobs) == len(ids)
    assert len(read(tokenizer, ids, reason="stop", echoed=2).logprobs) == len(ids)


def test_a_special_token_takes_up_its_text_only_in_an_echoed_prompt() -> None:
    tokenizer = tiny_tokenizer()
    start = tokenizer.convert_tokens_to_ids("<|im_start|>")
    ids = [start, *tokenizer("a")["input_ids"]]
    assert read(tokenizer, ids, reason=None).logprobs[1].offset == 0
    echoed = read(tokenizer, ids, reason=None, echoed=1).logprobs
    assert echoed[1].offset == len("<|im_start|>")
