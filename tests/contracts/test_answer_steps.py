"""Steps over answers: how rows become steps, and which model answers are measured from."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from domain.events import EventKind
from domain.run_plan import ReferenceKind
from entrypoints.container import Container, make_container
from tests.contracts.test_stages import STAGES, planned
from tests.contracts.test_trainer import Events, losses, run, spec_text

HALF = {"precision": {"mode": "half", "dtype": "bfloat16"}}
MIXED = {"precision": {"mode": "mixed", "dtype": "bfloat16"}}


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return make_container(str(tmp_path / "runs"))


def trained(container: Container, model: Path, folder: Path, stage: str, **sections: Any) -> Events:
    asked = planned(container, model, folder, stage, **sections)
    _, events = run(container, asked, folder / f"run-{len(list(folder.iterdir()))}")
    return events


@pytest.mark.parametrize("stage", STAGES)
def test_a_last_step_that_is_not_full_is_the_mean_over_its_rows(
    container: Container, tiny_model: Path, tmp_path: Path, stage: str
) -> None:
    """Seven rows in steps of five: the second step has two, in one pass or in two."""
    settings = {"data": {"max_samples": 7}, "schedule": {"epochs": 2}}
    whole, split = (
        losses(trained(container, tiny_model, tmp_path, stage, batching=batching, **settings))
        for batching in ({"per_device": 5}, {"per_device": 1, "accumulate": 5})
    )
    assert len(whole) == 4
    assert split == pytest.approx(whole, rel=5e-5)


def test_held_out_rows_count_alike_in_a_last_batch_that_is_not_full(
    container: Container, tiny_model: Path, tmp_path: Path
) -> None:
    """Five rows in batches of four; simpo, whose losses differ before the first step."""
    found = []
    for per_device in (1, 4):
        asked = planned(
            container,
            tiny_model,
            tmp_path,
            "simpo",
            data={"eval_fraction": 0.6},
            batching={"per_device": per_device},
            schedule={"max_steps": 1},
        )
        assert len(asked.data.eval) == 5
        _, events = run(container, asked, tmp_path / f"run-{per_device}")
        found.append(next(data for kind, data in events if kind is EventKind.EVALUATION))
    for name in ("loss", "rewards/chosen", "rewards/margin", "rewards/accuracy"):
        assert found[0][name] == pytest.approx(found[1][name], rel=1e-5)


@pytest.mark.parametrize(
    ("method", "sections"),
    [
        ({"name": "lora", "dropout": 0.0}, MIXED),
        ({"name": "full"}, MIXED),
        ({"name": "full"}, HALF),
        ({"name": "freeze", "layers": 1}, MIXED),
        ({"name": "lora", "init": "pissa"}, {}),
    ],
)
def test_the_reference_computes_in_the_policys_number_formats(
    container: Container,
    tiny_model: Path,
    tmp_path: Path,
    method: Mapping[str, Any],
    sections: Mapping[str, Any],
) -> None:
    events = trained(
        container,
        tiny_model,
        tmp_path,
        "dpo",
        method=method,
        schedule={"max_steps": 1},
        **sections,
    )
    assert losses(events)[1] == pytest.approx(math.log(2), abs=1e-6)


def test_noise_and_dropout_are_the_policys_alone(tiny_model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from adapters.answers import still

    network = AutoModelForCausalLM.from_pretrained(tiny_model).train()
    network.add_module("dropout", torch.nn.Dropout(0.5))
    embedding = network.get_input_embeddings()
    with still(network):
        assert not network.dropout.training
        assert not embedding.training
        assert network.training
        assert network.model.layers[0].self_attn.training
    assert network.dropout.training
    assert embedding.training


def test_shifted_attention_is_the_same_in_both_models(
    container: Container, tiny_model: Path, tmp_path: Path
) -> None:
    stage = {"name": "dpo"}
    for name in ("lora", "full"):
        plain = planned(container, tiny_model, tmp_path, "dpo").document.spec.as_json()
        text = spec_text(
            tiny_model,
            tmp_path,
            data=plain["data"],
            stage=stage,
            method={"name": name},
            model={"name": str(tiny_model), "attention": "s2"},
            schedule={"max_steps": 1},
        )
        _, events = run(container, container.plan_run()(text), tmp_path / name)
        assert losses(events)[1] == pytest.approx(math.log(2), abs=1e-6)


def test_logits_are_made_for_answers_only(tiny_model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from adapters.answers import log_probabilities

    network = AutoModelForCausalLM.from_pretrained(tiny_model)
    seeded = torch.Generator().manual_seed(0)
    ids = torch.randint(5, network.config.vocab_size, (2, 12), generator=seeded)
    labels = torch.full_like(ids, -100)
    labels[0, 8:], labels[1, 9:11] = ids[0, 8:], ids[1, 9:11]
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}
    made: list[tuple[int, ...]] = []
    network.lm_head.register_forward_hook(lambda *of: made.append(tuple(of[2].shape)))
    found = log_probabilities(network, batch)
    assert made == [(2, 4, network.config.vocab_size)]
    plain = network(input_ids=ids).logits[:, :-1].log_softmax(-1)
    picked = plain.gather(-1, ids[:, 1:, None])[..., 0] * (labels[:, 1:] != -100)
    assert found.total.tolist() == pytest.approx(picked.sum(1).tolist(), rel=1e-5)
    assert found.tokens.tolist() == [4, 2]
    ours = torch.autograd.grad(found.total.sum(), network.lm_head.weight)[0]
    theirs = torch.autograd.grad(picked.sum(), network.lm_head.weight)[0]
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_a_continued_adapter_is_measured_from_where_it_was(
    container: Container, tiny_model: Path, tmp_path: Path
) -> None:
    first = planned(container, tiny_model, tmp_path, "dpo")
    run(container, first, tmp_path / "first")
    over = {"name": str(tiny_model), "adapters": [str(tmp_path / "first" / "model")]}
    for method, kind in (("continued", ReferenceKind.COPY), ("lora", ReferenceKind.ADAPTERS_OFF)):
        text = spec_text(
            tiny_model,
            tmp_path,
            data=first.document.spec.as_json()["data"],
            stage={"name": "dpo"},
            method={"name": method},
            model=over,
        )
        asked = container.plan_run()(text)
        assert asked.plan.trainer.reference is kind
        _, events = run(container, asked, tmp_path / method)
        assert losses(events)[1] == pytest.approx(math.log(2), abs=1e-6)
        assert losses(events)[6] < losses(events)[1]


@pytest.mark.parametrize("stage", ["dpo", "kto", "reward"])
def test_answers_are_compared_over_quantized_weights(
    container: Container, tiny_model: Path, tmp_path: Path, stage: str
) -> None:
    pytest.importorskip("bitsandbytes")
    events = trained(
        container, tiny_model, tmp_path, stage, quantization={"name": "bitsandbytes"}, **MIXED
    )
    found = losses(events)
    if stage != "reward":
        assert found[1] == pytest.approx({"dpo": math.log(2), "kto": 0.5}[stage], abs=1e-6)
    assert found[6] < found[1]
