"""Streaming through the real trainer: equal to rows at hand, and exact after a stop."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from domain.errors import HextuneError
from entrypoints.container import Container, make_container
from entrypoints.services.plan_run import Planned
from tests.contracts.test_trainer import losses, run, spec_text


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return make_container(str(tmp_path / "runs"))


@pytest.fixture
def plan(container: Container, tiny_model: Path, rows_file: Path) -> Callable[..., Planned]:
    def make(packing: bool = False, **data: Any) -> Planned:
        text = spec_text(
            tiny_model,
            rows_file,
            data={"train": [{"path": str(rows_file)}], **data},
            batching={"per_device": 2, "accumulate": 2, "packing": packing},
        )
        planned: Planned = container.plan_run()(text)
        return planned

    return make


@pytest.mark.parametrize("packing", [False, True])
def test_a_stopped_stream_resumes_bit_for_bit(
    container: Container, plan: Callable[..., Planned], tmp_path: Path, packing: bool
) -> None:
    planned = plan(packing=packing, streaming=True, shuffle_buffer=5)
    _, whole = run(container, planned, tmp_path / "whole")
    _, first = run(
        container,
        plan(packing=packing, streaming=True, shuffle_buffer=5),
        tmp_path / "cut",
        stop_after=3,
    )
    outcome, second = run(
        container,
        plan(packing=packing, streaming=True, shuffle_buffer=5),
        tmp_path / "cut",
        resume=True,
    )
    assert list(losses(second)) == [4, 5, 6]
    assert losses(first) | losses(second) == losses(whole)
    for name in ("whole", "cut"):
        assert (tmp_path / name / "model" / "adapter_model.safetensors").is_file()
    weights = [
        (tmp_path / name / "model" / "adapter_model.safetensors").read_bytes()
        for name in ("whole", "cut")
    ]
    assert weights[0] == weights[1]
    assert outcome.results["streamed"]["left_out"] == 0  # type: ignore[index, call-overload]


def test_a_stream_in_file_order_trains_on_the_rows_of_the_file(
    container: Container, plan: Callable[..., Planned], tmp_path: Path
) -> None:
    """Six steps of four rows each over twelve rows: each is seen twice."""
    planned = plan(streaming=True, shuffle_buffer=1)
    outcome, _ = run(container, planned, tmp_path / "run")
    assert outcome.results["tokens"] == 2 * planned.data.train_tokens
    assert planned.plan.steps.tokens == 2 * planned.data.train_tokens


def test_a_stream_without_a_number_of_steps_is_refused(
    container: Container, tiny_model: Path, rows_file: Path
) -> None:
    text = spec_text(
        tiny_model,
        rows_file,
        data={"train": [{"path": str(rows_file)}], "streaming": True},
        schedule={"epochs": 1},
    )
    with pytest.raises(HextuneError) as caught:
        container.plan_run()(text)
    assert [each.code for each in caught.value.problems] == ["rule-stream-needs-steps"]
