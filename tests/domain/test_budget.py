"""Memory: every component against its closed form, and remedies that can be copied."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.budget import (
    CPU_RUNTIME_BYTES,
    GIB,
    LOGIT_CHUNK,
    MemoryEstimate,
    estimate_memory,
    remedies,
    shown_bytes,
)
from domain.precision import PrecisionPolicy
from tests.fakes.models import HANDLE

LINEAR = 2 * 64 * 64
"""Weights in the fake model's linear layers."""


def policy(weights: str = "float32", trainable: str = "float32") -> PrecisionPolicy:
    return PrecisionPolicy(
        mode="full",
        weights=weights,
        trainable=trainable,
        compute=weights,
        optimizer=trainable,
        reduce=trainable,
        reason="",
    )


def memory(precision: PrecisionPolicy | None = None, **changes: Any) -> MemoryEstimate:
    values: dict[str, Any] = {
        "trainable": 1000,
        "adds_weights": True,
        "quantized_bytes_per_weight": None,
        "rows": 2,
        "tokens": 10,
        "fused_attention": True,
        "checkpointing": False,
        "on_cpu": False,
        **changes,
    }
    return estimate_memory(values.pop("model", HANDLE), precision or policy(), **values)


def test_an_adapter_adds_its_own_weights_gradients_and_two_states() -> None:
    made = memory(policy("bfloat16", "float32"))
    assert made.weights == 2 * HANDLE.parameters + 4 * 1000
    assert made.gradients == 4 * 1000
    assert made.optimizer == 2 * 4 * 1000


def test_full_training_in_float32_takes_sixteen_bytes_a_weight() -> None:
    made = memory(trainable=HANDLE.parameters, adds_weights=False)
    assert made.weights + made.gradients + made.optimizer == 16 * HANDLE.parameters


def test_quantizing_packs_the_linear_layers_only() -> None:
    packed = memory(policy("bfloat16", "float32"), quantized_bytes_per_weight=0.5)
    assert packed.weights == LINEAR // 2 + 2 * (HANDLE.parameters - LINEAR) + 4 * 1000
    assert packed.total < memory(policy("bfloat16", "float32")).total


def test_activations_are_counted_layer_by_layer() -> None:
    kept = 2 * 10 * (16 * 64 + 5 * 64)
    assert memory().activations == 4 * kept * HANDLE.layers
    scores = round(2.5 * 2 * HANDLE.heads * 10 * 10)
    assert memory(fused_attention=False).activations == 4 * (kept + scores) * HANDLE.layers


def test_checkpointing_keeps_one_layer_and_the_inputs_of_all() -> None:
    kept, inputs = 2 * 10 * (16 * 64 + 5 * 64), 2 * 10 * 64 * HANDLE.layers
    assert memory(checkpointing=True).activations == 4 * (kept + inputs)


def test_a_large_vocabulary_is_computed_in_tiles() -> None:
    assert memory().logits == 3 * 4 * 2 * 10 * 256
    large = replace(HANDLE, vocabulary=10 * LOGIT_CHUNK)
    assert memory(model=large).logits == 3 * 4 * 2 * 10 * LOGIT_CHUNK


def test_a_model_without_linear_layers_counts_its_hidden_width() -> None:
    assert memory(model=replace(HANDLE, linear=())).activations == memory().activations


def test_libraries_share_the_memory_of_a_cpu() -> None:
    assert memory(on_cpu=True).total - memory().total == CPU_RUNTIME_BYTES


def test_the_total_is_the_sum_of_the_components() -> None:
    assert (
        MemoryEstimate(
            weights=1, gradients=2, optimizer=4, activations=8, logits=16, runtime=32
        ).total
        == 63
    )


@given(st.integers(1, 64), st.integers(1, 4096), st.integers(1, 64))
def test_more_rows_or_tokens_never_need_less(rows: int, tokens: int, more: int) -> None:
    one = memory(rows=rows, tokens=tokens)
    assert memory(rows=rows + more, tokens=tokens).total > one.total
    assert memory(rows=rows, tokens=tokens + more).total > one.total


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.00 KiB"),
        (1.5 * 1024**2, "1.50 MiB"),
        (1.25 * GIB, "1.25 GiB"),
        (2048 * GIB, "2048.00 GiB"),
    ],
)
def test_bytes_are_shown_in_the_largest_unit_that_fits(count: float, shown: str) -> None:
    assert shown_bytes(count) == shown


@given(st.floats(0, 1e15))
def test_shown_bytes_are_near_the_count(count: float) -> None:
    number, unit = shown_bytes(count).split()
    size = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": GIB}[unit]
    assert math.isclose(float(number) * size, count, rel_tol=0.01, abs_tol=0.51)


@pytest.mark.parametrize(
    ("options", "ways"),
    [
        (
            {"per_device": 8, "checkpointing": False, "quantized": False, "max_tokens": 512},
            "batching.per_device=1 batching.accumulate=8; model.gradient_checkpointing=true; "
            "data.max_tokens=256",
        ),
        (
            {"per_device": 1, "checkpointing": True, "quantized": False, "max_tokens": 512},
            "data.max_tokens=256; quantization.name=bitsandbytes",
        ),
        (
            {"per_device": 1, "checkpointing": True, "quantized": True, "max_tokens": 10},
            "data.max_tokens=8",
        ),
    ],
)
def test_remedies_are_overrides_for_what_is_not_done_yet(
    options: dict[str, Any], ways: str
) -> None:
    assert remedies(**options) == ways
