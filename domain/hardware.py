"""The machine a run is planned for."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class DeviceKind(StrEnum):
    """What computes; the names are PyTorch's, with AMD's GPUs told apart from NVIDIA's."""

    CPU = "cpu"
    CUDA = "cuda"
    ROCM = "rocm"
    NPU = "npu"
    MPS = "mps"
    XPU = "xpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """One machine, as seen by the process that plans the run."""

    kind: DeviceKind
    """What computes."""
    name: str
    """The maker's name of the device."""
    count: int
    """Devices visible."""
    memory_bytes: int
    """Memory of one device; the machine's memory for a CPU."""
    free_bytes: int
    """Of it, free now."""
    compute_capability: tuple[int, int] | None = None
    """NVIDIA's compute capability, such as (8, 0)."""
    cpu_bf16: bool = False
    """Whether the CPU multiplies bfloat16 in hardware."""
    cores: int = 1
    """CPU cores this process may use."""

    @property
    def dtypes(self) -> Sequence[str]:
        """The compute dtypes this device can train in."""
        if self.kind is DeviceKind.CUDA:
            new = self.compute_capability is not None and self.compute_capability >= (8, 0)
            return ("bfloat16", "float16", "float32") if new else ("float16", "float32")
        if self.kind in (DeviceKind.ROCM, DeviceKind.NPU, DeviceKind.XPU):
            return ("float16", "bfloat16", "float32")
        if self.kind is DeviceKind.CPU:
            return ("float32", "bfloat16")
        return ("float32",)
