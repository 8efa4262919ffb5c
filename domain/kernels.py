"""Fused kernels of other packages: what they are good for, and why they cannot be used here.

Sources: Liger Kernel's table of model types (0.8.5), Unsloth's dispatch by model type (2026.10).
Both are written in Triton, which compiles for GPUs only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from domain.hardware import DeviceKind, Hardware

KernelsName = Literal["none", "liger", "unsloth"]
ADVICE = "Use model.kernels=none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernels:
    """What a package of kernels asks for."""

    package: str
    """The distribution."""
    least: tuple[int, int]
    """Its least version."""
    install: str
    """What to install."""
    devices: frozenset[DeviceKind]
    """Devices its kernels run on."""
    families: frozenset[str]
    """Values of `model_type` it has kernels for."""
    does: str
    """What it replaces, for people."""


KERNELS: Mapping[str, Kernels] = {
    "liger": Kernels(
        package="liger-kernel",
        least=(0, 6),
        install="pip install 'hextune[liger]'",
        devices=frozenset({DeviceKind.CUDA, DeviceKind.ROCM, DeviceKind.XPU}),
        families=frozenset(
            {
                "deepseek_v2",
                "deepseek_v3",
                "falcon_h1",
                "gemma",
                "gemma2",
                "gemma3",
                "gemma3_text",
                "glm4",
                "gpt_oss",
                "granite",
                "hunyuan_v1_dense",
                "hunyuan_v1_moe",
                "internvl",
                "llama",
                "llama4",
                "llama4_text",
                "llava",
                "ministral",
                "mistral",
                "mixtral",
                "mllama",
                "nemotron",
                "olmo2",
                "olmo3",
                "paligemma",
                "phi3",
                "pixtral",
                "qwen2",
                "qwen2_5_vl",
                "qwen2_vl",
                "qwen3",
                "qwen3_moe",
                "qwen3_vl",
                "smollm3",
                "smolvlm",
            }
        ),
        does="norms, rotary embeddings and gated MLPs are Liger's",
    ),
    "unsloth": Kernels(
        package="unsloth",
        least=(2026, 10),
        install="pip install --no-deps unsloth unsloth_zoo, in an environment of its own",
        devices=frozenset({DeviceKind.CUDA}),
        families=frozenset({"gemma", "gemma2", "llama", "mistral", "qwen2", "qwen3", "qwen3_moe"}),
        does="Unsloth loads the model, with its own attention, norms and MLPs",
    ),
}


def obstacle(
    name: str, hardware: Hardware, versions: Mapping[str, str], family: str | None
) -> tuple[str, str] | None:
    """(why these kernels cannot be used, what to do), or None where they can.

    A `family` that is not known yet is no obstacle.
    """
    if name not in KERNELS:
        return None
    asked = KERNELS[name]
    if hardware.kind not in asked.devices:
        kinds = ", ".join(sorted(kind.value for kind in asked.devices))
        return f"they are Triton kernels for {kinds}, and this is {hardware.name}", ADVICE
    if family is not None and family not in asked.families:
        return f"{asked.package} has none for models of type {family}", ADVICE
    found = versions.get(asked.package)
    if found is None or tuple(int(part) for part in found.split(".")[:2]) < asked.least:
        wanted = ".".join(map(str, asked.least))
        state = f"version {found} is" if found else "none is"
        reason = f"they need {asked.package} {wanted} or newer, and {state} installed"
        return reason, f"{asked.install}; or use model.kernels=none"
    return None
