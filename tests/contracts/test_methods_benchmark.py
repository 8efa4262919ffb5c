"""The benchmark of methods: its shapes are the published ones, and it notices a broken ordering."""

from typing import Any

import pytest

from benchmarks.methods import SHAPES, broken_orderings


@pytest.mark.parametrize(
    ("shape", "parameters"),
    [
        ("gemma-2b", 2_506_172_416),
        ("llama2-7b", 6_738_415_616),
        ("llama2-13b", 13_015_864_320),
    ],
)
def test_a_shape_has_as_many_weights_as_published(shape: str, parameters: int) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    values = dict(SHAPES[shape])
    config = AutoConfig.for_model(values.pop("model_type"), **values)
    with torch.device("meta"):
        network = AutoModelForCausalLM.from_config(config)
    assert sum(weight.numel() for weight in network.parameters()) == parameters


def row(peak: float, after: float, *, before: float = 30.0, learns: int = 9) -> dict[str, Any]:
    perplexity = {"perplexity_before": before, "perplexity_after": after}
    return {"peak_gib": peak, "trainable": learns, **perplexity}


def test_a_broken_ordering_is_named() -> None:
    fine = {"lora": row(3, 29), "freeze": row(1, 29, learns=8), "qlora": row(2, 29.5, before=40)}
    assert broken_orderings(fine, trained=True) == []
    heavy = {"lora": row(2, 31), "qlora": row(3, 30.5, before=40)}
    assert [line.split()[0] for line in broken_orderings(heavy, trained=True)] == [
        "lora:",
        "qlora:",
        "lora",
    ]
    assert broken_orderings({"lora": row(3, 31), "qlora": row(2, 31)}, trained=False) == []
