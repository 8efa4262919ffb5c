"""Which attention kernel computes, and why another cannot here.

Sources: flash-attn's and FlashAttention-3's published requirements; FlexAttention has no backward
pass on a CPU.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from domain.hardware import DeviceKind, Hardware

AttentionName = Literal[
    "auto", "eager", "sdpa", "flex", "flash_attention_2", "flash_attention_3", "s2"
]
KERNELS: tuple[AttentionName, ...] = get_args(AttentionName)[1:]
"""Every kernel; auto is the choice of one."""
FASTEST_FIRST: tuple[AttentionName, ...] = ("flash_attention_2", "sdpa")
"""What auto tries before the plain kernel, which every model has."""
NEEDS: Mapping[str, tuple[str, tuple[int, int], tuple[int, int], str]] = {
    "flash_attention_2": ("flash-attn", (2, 8), (8, 0), "hextune[flash-attn]"),
    "flash_attention_3": ("flash-attn-3", (3, 0), (9, 0), "flash-attn-3"),
}
"""Package, its least version, least compute capability, and what to install, by kernel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionChoice:
    """The kernel of a run."""

    name: AttentionName
    """A kernel, never auto."""
    reason: str
    """Why this one."""


def obstacle(
    name: str,
    hardware: Hardware,
    versions: Mapping[str, str],
    compute: str,
    able: Collection[str] = KERNELS,
) -> tuple[str, str] | None:
    """(why a kernel cannot compute in dtype `compute` here, what to do), or None where it can.

    `able` are the kernels the model's layers can call.
    """
    if name != "auto" and name not in able:
        return f"this model can use only {', '.join(able)}", "Use model.attention=auto"
    if name == "flex" and hardware.kind is DeviceKind.CPU:
        return "FlexAttention has no backward pass on a CPU", "Use model.attention=sdpa"
    if name not in NEEDS:
        return None
    package, least, capability, install = NEEDS[name]
    shown = ".".join(map(str, capability))
    if hardware.kind is not DeviceKind.CUDA or (hardware.compute_capability or (0, 0)) < capability:
        reason = f"it needs an NVIDIA GPU of compute capability {shown}, and this is"
        return f"{reason} {hardware.name}", "Use model.attention=sdpa"
    if compute == "float32":
        return "it computes in 16 bits only, not in float32", "Use precision.mode=mixed"
    found = versions.get(package)
    if found is None or tuple(int(part) for part in found.split(".")[:2]) < least:
        wanted = ".".join(map(str, least))
        state = f"version {found} is" if found else "none is"
        hint = f"pip install '{install}' --no-build-isolation, or use model.attention=sdpa"
        return f"it needs {package} {wanted} or newer, and {state} installed", hint
    return None


def choose_attention(
    asked: AttentionName,
    hardware: Hardware,
    versions: Mapping[str, str],
    compute: str,
    able: Collection[str] = KERNELS,
) -> AttentionChoice:
    """The kernel for what was asked; rules refuse one that has an obstacle."""
    if asked != "auto":
        return AttentionChoice(name=asked, reason=f"model.attention is {asked}")
    passed_over: list[str] = []
    for name in FASTEST_FIRST:
        why = obstacle(name, hardware, versions, compute, able)
        if why is None:
            reason = "; ".join(passed_over) or "the fastest, and it fits"
            return AttentionChoice(name=name, reason=reason)
        passed_over.append(f"not {name}: {why[0]}")
    return AttentionChoice(name="eager", reason="; ".join(passed_over))
