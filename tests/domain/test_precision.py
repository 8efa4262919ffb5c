"""Precision: the paper's table of devices, and what each mode makes of it."""

import pytest

from domain.hardware import DeviceKind, Hardware
from domain.precision import PrecisionSection, choose_precision, preferred_dtype


def device(kind: DeviceKind, capability: tuple[int, int] | None = None) -> Hardware:
    return Hardware(
        kind=kind,
        name=kind.value,
        count=1,
        memory_bytes=1,
        free_bytes=1,
        compute_capability=capability,
    )


AMPERE, TURING = device(DeviceKind.CUDA, (8, 0)), device(DeviceKind.CUDA, (7, 5))
CPU = device(DeviceKind.CPU)


@pytest.mark.parametrize(
    ("hardware", "dtype", "why"),
    [
        (AMPERE, "bfloat16", "compute capability 8.0 is 8.0 or higher"),
        (device(DeviceKind.CUDA, (12, 1)), "bfloat16", "compute capability 12.1 is 8.0 or higher"),
        (TURING, "float16", "compute capability 7.5 is below 8.0"),
        (device(DeviceKind.CUDA), "float16", "compute capability 0.0 is below 8.0"),
        (device(DeviceKind.NPU), "float16", "npu devices train in float16"),
        (device(DeviceKind.ROCM), "float16", "rocm devices train in float16"),
        (CPU, "float32", "cpu devices train in float32 unless told otherwise"),
        (device(DeviceKind.MPS), "float32", "mps devices train in float32 unless told otherwise"),
        (device(DeviceKind.XPU), "float32", "xpu devices train in float32 unless told otherwise"),
    ],
)
def test_a_device_prefers_the_papers_dtype(hardware: Hardware, dtype: str, why: str) -> None:
    assert preferred_dtype(hardware) == (dtype, why)
    assert dtype in hardware.dtypes
    policy = choose_precision(PrecisionSection(), hardware)
    assert (policy.compute, policy.reason) == (dtype, why)


@pytest.mark.parametrize(
    ("hardware", "section", "mode", "compute", "trainable"),
    [
        (AMPERE, PrecisionSection(), "mixed", "bfloat16", "float32"),
        (TURING, PrecisionSection(), "mixed", "float16", "float32"),
        (CPU, PrecisionSection(), "full", "float32", "float32"),
        (AMPERE, PrecisionSection(mode="half"), "half", "bfloat16", "bfloat16"),
        (TURING, PrecisionSection(mode="half"), "half", "float16", "float16"),
        (AMPERE, PrecisionSection(mode="full"), "full", "float32", "float32"),
        (CPU, PrecisionSection(mode="mixed"), "mixed", "bfloat16", "float32"),
        (CPU, PrecisionSection(mode="half"), "half", "bfloat16", "bfloat16"),
        (CPU, PrecisionSection(dtype="bfloat16"), "mixed", "bfloat16", "float32"),
        (AMPERE, PrecisionSection(dtype="float16"), "mixed", "float16", "float32"),
        (AMPERE, PrecisionSection(dtype="float32"), "full", "float32", "float32"),
        (AMPERE, PrecisionSection(mode="half", dtype="float16"), "half", "float16", "float16"),
    ],
)
def test_a_mode_fixes_every_dtype(
    hardware: Hardware, section: PrecisionSection, mode: str, compute: str, trainable: str
) -> None:
    policy = choose_precision(section, hardware)
    assert (policy.mode, policy.weights, policy.compute) == (mode, compute, compute)
    assert {policy.trainable, policy.optimizer, policy.reduce} == {trainable}


@pytest.mark.parametrize(
    ("section", "reason"),
    [
        (PrecisionSection(mode="full"), "precision.mode is full"),
        (PrecisionSection(mode="half"), "precision.mode is half, which needs 16 bits"),
        (PrecisionSection(dtype="bfloat16"), "precision.dtype is bfloat16"),
    ],
)
def test_what_was_asked_for_is_the_reason(section: PrecisionSection, reason: str) -> None:
    assert choose_precision(section, CPU).reason == reason


@pytest.mark.parametrize(
    ("hardware", "dtypes"),
    [
        (AMPERE, {"bfloat16", "float16", "float32"}),
        (TURING, {"float16", "float32"}),
        (device(DeviceKind.CUDA), {"float16", "float32"}),
        (device(DeviceKind.ROCM), {"bfloat16", "float16", "float32"}),
        (CPU, {"bfloat16", "float32"}),
        (device(DeviceKind.MPS), {"float32"}),
    ],
)
def test_a_device_says_what_it_can_train_in(hardware: Hardware, dtypes: set[str]) -> None:
    assert set(hardware.dtypes) == dtypes
