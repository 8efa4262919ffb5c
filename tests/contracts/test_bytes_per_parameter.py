"""Bytes per parameter: the plan's, counted on a tiny model, and the paper's figures."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.bytes_per_parameter import WAYS, measured, spec_of
from domain.budget import bytes_per_parameter, estimate_memory
from domain.model_handle import LinearLayers
from domain.precision import PrecisionSection, choose_precision
from entrypoints.container import make_container
from tests.fakes.models import CPU, HANDLE

LLAMA_7B = replace(
    HANDLE,
    parameters=6_738_415_616,
    vocabulary=32_000,
    layers=32,
    hidden=4096,
    heads=32,
    linear=(
        LinearLayers(name="q_proj", inputs=4096, outputs=4096, count=4 * 32),
        LinearLayers(name="up_proj", inputs=4096, outputs=11008, count=2 * 32),
        LinearLayers(name="down_proj", inputs=11008, outputs=4096, count=32),
    ),
)
LORA_RANK_8 = 8 * 32 * (4 * (4096 + 4096) + 3 * (4096 + 11008))


@pytest.mark.parametrize("way", WAYS)
def test_a_step_holds_what_the_plan_says(
    tiny_model: Path, rows_file: Path, tmp_path: Path, way: str
) -> None:
    pytest.importorskip("bitsandbytes")
    container = make_container(str(tmp_path))
    planned = container.plan_run()(spec_of(way, str(tiny_model), str(rows_file)))
    expected = bytes_per_parameter(planned.plan.memory, planned.plan.model)
    assert measured(container, planned) == pytest.approx(expected, rel=0.06)


@pytest.mark.parametrize(
    ("mode", "whole", "packed", "paper"),
    [("mixed", True, None, 18.0), ("half", True, None, 8.0), ("mixed", False, 0.5159, 0.6)],
)
def test_a_model_of_7b_takes_what_the_paper_says(
    mode: str, whole: bool, packed: float | None, paper: float
) -> None:
    asked = PrecisionSection(mode=mode, dtype="bfloat16")  # type: ignore[arg-type]
    memory = estimate_memory(
        LLAMA_7B,
        choose_precision(asked, CPU),
        trainable=LLAMA_7B.parameters if whole else LORA_RANK_8,
        adds_weights=not whole,
        quantized_bytes_per_weight=packed,
        rows=1,
        tokens=1,
        fused_attention=True,
        checkpointing=True,
        on_cpu=False,
    )
    assert bytes_per_parameter(memory, LLAMA_7B) == pytest.approx(paper, abs=0.07)
