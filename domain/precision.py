"""Which number format each part of a run uses, and why.

Source: LLaMA-Factory paper, section 4.1 "Precision Adaptation": bfloat16 on NVIDIA GPUs of
compute capability 8.0 or higher, else float16; float16 on Ascend NPUs and AMD GPUs; float32 on
other devices. Trainable parameters are float32 in mixed precision and 16-bit in half precision.
"""

from dataclasses import dataclass
from typing import Literal

from domain.hardware import DeviceKind, Hardware
from domain.section import section

DtypeName = Literal["float32", "bfloat16", "float16"]

BYTES: dict[str, int] = {"float32": 4, "bfloat16": 2, "float16": 2}
"""Bytes of one number."""


@section
class PrecisionSection:
    """Number formats; auto takes what the device computes best."""

    mode: Literal["auto", "mixed", "half", "full"] = "auto"
    """mixed: 16-bit compute, float32 trainables. half: 16-bit everywhere. full: float32."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """The compute dtype; auto follows the device."""
    upcast_norms: bool = False
    """Compute and keep the layers' norms in float32; those that learn are saved so."""
    upcast_logits: bool = False
    """Turn the output head's logits into float32 before they are scaled, capped and compared."""

    fp8: bool = False
    """Multiply in 8-bit floats in linear layers, where a GPU can; weights keep their dtype."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionPolicy:
    """The dtypes of one run."""

    mode: str
    """mixed, half or full."""
    weights: str
    """Frozen weights."""
    trainable: str
    """Weights that learn, and their gradients."""
    compute: str
    """Matrix products in forward and backward passes."""
    optimizer: str
    """Optimizer states."""
    reduce: str
    """Sums of gradients across devices."""
    reason: str
    """Why these."""


def preferred_dtype(hardware: Hardware) -> tuple[DtypeName, str]:
    """The paper's dtype for a device, with the reason."""
    if hardware.kind is DeviceKind.CUDA:
        capability = hardware.compute_capability or (0, 0)
        shown = ".".join(str(part) for part in capability)
        if capability >= (8, 0):
            return "bfloat16", f"compute capability {shown} is 8.0 or higher"
        return "float16", f"compute capability {shown} is below 8.0"
    if hardware.kind in (DeviceKind.ROCM, DeviceKind.NPU):
        return "float16", f"{hardware.kind.value} devices train in float16"
    return "float32", f"{hardware.kind.value} devices train in float32 unless told otherwise"


def choose_precision(asked: PrecisionSection, hardware: Hardware) -> PrecisionPolicy:
    """The policy for what was asked on this hardware; rules refuse impossible requests."""
    if asked.mode == "full":
        dtype, reason = "float32", "precision.mode is full"
    elif asked.dtype == "auto":
        dtype, reason = preferred_dtype(hardware)
        if asked.mode in ("mixed", "half") and dtype == "float32":
            dtype, reason = "bfloat16", f"precision.mode is {asked.mode}, which needs 16 bits"
    else:
        dtype, reason = asked.dtype, f"precision.dtype is {asked.dtype}"
    mode = asked.mode if asked.mode != "auto" else ("full" if dtype == "float32" else "mixed")
    trainable = dtype if mode == "half" else "float32"
    return PrecisionPolicy(
        mode=mode,
        weights=dtype,
        trainable=trainable,
        compute=dtype,
        optimizer=trainable,
        reduce=trainable,
        reason=reason,
    )
