"""Two ranks against one process: the same losses step by step, and the same model at the end.

Thirteen rows in steps of eight: the last step of each epoch is not full, and its ranks have uneven
parts. Rows are of uneven length, so a mean of the ranks' means would be another number.
"""

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from adapters.parallel import strategy_of
from domain.errors import HextuneError
from entrypoints.container import Container, make_container
from tests.contracts.rank_cases import Trained, train_here, train_in_ranks, training_of

LORA = {"name": "lora", "rank": 4}
CASES: dict[str, dict[str, Any]] = {
    "full": {"method": {"name": "full"}},
    "lora": {"method": LORA},
    "freeze": {"method": {"name": "freeze", "layers": 1}},
    "dpo": {"method": LORA, "stage": {"name": "dpo"}},
    "pretrain": {"method": LORA, "stage": {"name": "pretrain"}},
}
MIXED = {"mode": "mixed", "dtype": "bfloat16"}
DDP_CASES: dict[str, dict[str, Any]] = {
    "mixed": {"method": LORA, "precision": MIXED},
    "packed": {"method": LORA, "batching": {"packing": True}},
    "4 bits": {"method": LORA, "precision": MIXED, "quantization": {"name": "bitsandbytes"}},
    **{
        name: {"method": {"name": name}}
        for name in ("ia3", "loha", "lokr", "oft", "vera", "llama_pro")
    },
}
"""What only DDP is proved with."""
ZERO_1 = {"strategy": "deepspeed", "zero": 1, "processes": 2}
ZERO_2_OFF = {"strategy": "deepspeed", "zero": 2, "offload": "optimizer", "processes": 2}
ZERO_3_OFF = {"strategy": "deepspeed", "zero": 3, "offload": "all", "processes": 2}
MORE_CASES: dict[str, dict[str, dict[str, Any]]] = {
    "DDP": DDP_CASES,
    "ZeRO-2": {
        "ZeRO-1": {"method": LORA, "parallelism": ZERO_1},
        "states off the device": {"method": {"name": "full"}, "parallelism": ZERO_2_OFF},
    },
    "ZeRO-3": {"weights off the device": {"method": LORA, "parallelism": ZERO_3_OFF}},
    "FSDP2": {},
}
"""What is tried beside the cases, in the same start of ranks."""
INTERRUPTED = {"full, resumed": "full", "lora, resumed": "lora"}
"""Cases that are stopped and resumed, and the case that runs through to which they come."""
ROUNDED = ("mixed", "4 bits")
"""Cases in which bfloat16 rounds sums that ranks add up in another order."""
STRATEGIES: dict[str, dict[str, Any]] = {
    "DDP": {"strategy": "ddp"},
    "ZeRO-2": {"strategy": "deepspeed", "zero": 2},
    "ZeRO-3": {"strategy": "deepspeed", "zero": 3},
    "FSDP2": {"strategy": "fsdp2"},
}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """A file of rows for each stage."""
    folder = tmp_path_factory.mktemp("rows")
    long = ["In short: it is " * (1 + n % 3) + f"{n + 1}." for n in range(13)]
    talks = [{"instruction": f"What is {n}?", "output": text} for n, text in enumerate(long)]
    pairs = [
        {"prompt": f"What is {n}?", "chosen": text, "rejected": f"No idea {n}."}
        for n, text in enumerate(long)
    ]
    documents = [{"text": text * 4} for text in long]
    found = {}
    for stage, lines in (("sft", talks), ("dpo", pairs), ("pretrain", documents)):
        path = folder / f"{stage}.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        found[stage] = str(path)
    return found


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Container:
    return make_container(str(tmp_path_factory.mktemp("runs")))


def spec(model: Path, rows: Mapping[str, str], case: str, per_device: int) -> dict[str, Any]:
    case = INTERRUPTED.get(case, case)
    changes = next(cases[case] for cases in (CASES, *MORE_CASES.values()) if case in cases)
    batching = {"per_device": per_device, "accumulate": 2, **changes.get("batching", {})}
    return {
        "model": {"name": str(model)},
        "data": {
            "train": [{"path": rows[changes.get("stage", {"name": "sft"})["name"]]}],
            "max_tokens": 128,
        },
        "optimizer": {"learning_rate": 0.003},
        "schedule": {"epochs": 2 if case in CASES else 1},
        "precision": {"mode": "full"},
        **changes,
        "batching": batching,
    }


@pytest.fixture(scope="module")
def alone(
    container: Container,
    tiny_model: Path,
    rows: Mapping[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], Trained]:
    """What one process makes of a case."""
    folder = tmp_path_factory.mktemp("alone")

    @cache
    def train(case: str) -> Trained:
        asked = spec(tiny_model, rows, case, 4) | {"parallelism": {"strategy": "single"}}
        return train_here(container, training_of(container, folder / case, asked))

    return train


@pytest.mark.parametrize("name", STRATEGIES)
def test_two_ranks_train_as_one_process_does(
    container: Container,
    tiny_model: Path,
    rows: Mapping[str, str],
    tmp_path: Path,
    alone: Callable[[str], Trained],
    name: str,
) -> None:
    parallelism = {**STRATEGIES[name], "processes": 2}
    stopped = [] if name == "DDP" else list(INTERRUPTED)  # DDP's are in test_parallel_runs.py
    cases = [*CASES, *MORE_CASES[name], *stopped]
    trainings = [
        training_of(
            container,
            tmp_path / case,
            {"parallelism": parallelism, **spec(tiny_model, rows, case, 2)},
        )
        for case in cases
    ]
    interrupted = [str(tmp_path / case) for case in stopped]
    trained = train_in_ranks(tmp_path / "ranks", trainings, interrupted)
    for case, found in zip(cases, trained, strict=True):
        compare(case, found, alone(INTERRUPTED.get(case, case)))


def compare(case: str, found: Trained, whole: Trained) -> None:
    """Losses, weights and a stage's own figures."""
    import torch

    assert found.losses, case
    rounded = case in ROUNDED
    assert found.losses == pytest.approx(whole.losses, rel=1e-3 if rounded else 2e-5), case
    ours, theirs = found.weights(), whole.weights()
    assert ours.keys() == theirs.keys(), case
    for weight, tensor in ours.items():
        assert tensor.dtype == theirs[weight].dtype, weight
        if not rounded:
            torch.testing.assert_close(tensor, theirs[weight], atol=2e-5, rtol=1e-4)
    if case == "dpo":
        figures, expected = (
            [data["rewards/margin"] for kind, data in each.events if kind == "step"]
            for each in (found, whole)
        )
        assert figures == pytest.approx(expected, abs=1e-4)


def test_a_model_that_is_not_prepared_as_planned_ends_the_run(
    container: Container, tiny_model: Path, rows: Mapping[str, str], tmp_path: Path
) -> None:
    """One process without ranks, so that nothing is wrapped."""
    asked = spec(tiny_model, rows, "lora", 2)
    asked["parallelism"] = {"strategy": "ddp", "processes": 2}
    with pytest.raises(HextuneError) as caught:
        train_here(container, training_of(container, tmp_path / "run", asked))
    assert caught.value.problems[0].code == "run-not-parallel"


def test_plain_and_half_divided_models_are_not_fsdp2() -> None:
    import torch

    plain = torch.nn.Linear(2, 2)
    for strategy in ("ddp", "fsdp2"):
        assert not strategy_of(strategy).wraps(SimpleNamespace(model_wrapped=plain))
