"""Which attention kernel computes, and why another cannot here.

Sources: flash-attn's and FlashAttention-3's published requirements; FlexAttention has no backward
pass on a CPU.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from domain.hardware import DeviceKind, Hardware

AttentionName = Literal[
    "auto", "eager", "sdpa", "flex", "flash_attention_2", "flash_attention_3", "s2"
]
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
    name: str, hardware: Hardware, versions: Mapping[str, str], compute: str
) -> tuple[str, str] | None:
    """(why a kernel cannot compute in dtype `compute` here, what to do), or None where it can."""
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
    asked: AttentionName, hardware: Hardware, versions: Mapping[str, str], compute: str
) -> AttentionChoice:
    """The kernel for what was asked; rules refuse one that has an obstacle."""
    if asked != "auto":
        return AttentionChoice(name=asked, reason=f"model.attention is {asked}")
    why = obstacle("flash_attention_2", hardware, versions, compute)
    if why is None:
        return AttentionChoice(name="flash_attention_2", reason="flash-attn is installed and fits")
    return AttentionChoice(name="sdpa", reason=f"not flash_attention_2: {why[0]}")
