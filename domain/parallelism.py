"""Training in several processes on one machine: what may be asked, and what it comes to.

ddp keeps the whole model in every process and averages gradients (Li et al. 2020, "PyTorch
Distributed"). DeepSpeed divides optimizer states (ZeRO-1), gradients too (ZeRO-2), weights too
(ZeRO-3): Rajbhandari et al. 2020, "ZeRO: Memory Optimizations Toward Training Trillion Parameter
Models", section 5. fsdp2 divides all three by PyTorch's own means (Zhao et al. 2023).
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

from domain.budget import MemoryEstimate
from domain.hardware import DeviceKind, Hardware
from domain.section import limited, section

StrategyName = Literal["single", "ddp", "fsdp2", "deepspeed"]

DEFAULT_ZERO = 2


@section
class ParallelismSection:
    """How many processes work together on this machine."""

    strategy: StrategyName = "single"
    """single: one process on one device. ddp: the whole model in each process. fsdp2: weights,
    gradients and optimizer states divided among them. deepspeed: divided as `zero` says."""
    processes: int | None = limited(None, ge=1)
    """Processes that train together, one a device; all devices of this machine where not set."""
    zero: int | None = limited(None, ge=1, le=3)
    """deepspeed: 1 divides optimizer states, 2 gradients too, 3 weights too; 2 where not set."""
    offload: Literal["none", "optimizer", "all"] = "none"
    """deepspeed: what is kept in the machine's memory instead of the device's: optimizer states, or
    weights too, which takes zero 3."""
    config: str | None = None
    """deepspeed: a JSON file of your own; what it says beyond the spec is taken over, and what it
    says against the spec is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallelism:
    """What a run's processes are."""

    strategy: str
    """single, ddp, fsdp2 or deepspeed."""
    processes: int
    """How many there are."""
    zero: int | None
    """DeepSpeed's stage; None with other strategies."""
    reason: str
    """Why so many processes."""
    divides: str
    """What is divided among them."""

    @property
    def name(self) -> str:
        """The strategy for people, such as ZeRO-3."""
        return f"ZeRO-{self.zero}" if self.zero else self.strategy

    @property
    def shards_weights(self) -> bool:
        """Whether a process holds only a part of each weight."""
        return self.strategy == "fsdp2" or self.zero == 3

    @property
    def shards_states(self) -> bool:
        """Whether a process holds only a part of the optimizer's states."""
        return self.strategy in ("fsdp2", "deepspeed")


DIVIDES = {
    "single": "nothing is divided",
    "ddp": "each holds the whole model; gradients are averaged",
    "fsdp2": "weights, gradients and optimizer states are divided among them",
    1: "optimizer states are divided among them",
    2: "optimizer states and gradients are divided among them",
    3: "optimizer states, gradients and weights are divided among them",
}


def choose_parallelism(asked: ParallelismSection, hardware: Hardware) -> Parallelism:
    """The processes a spec leads to on this hardware; rules refuse impossible requests."""
    zero = (asked.zero or DEFAULT_ZERO) if asked.strategy == "deepspeed" else None
    if asked.strategy == "single":
        processes, reason = 1, "parallelism.strategy is single"
    elif asked.processes is not None:
        processes, reason = asked.processes, "parallelism.processes"
    else:
        processes, reason = hardware.count, f"one for each {hardware.kind.value} device"
    return Parallelism(
        strategy=asked.strategy,
        processes=processes,
        zero=zero,
        reason=reason,
        divides=DIVIDES[zero or asked.strategy],
    )


def divided(
    memory: MemoryEstimate, asked: ParallelismSection, hardware: Hardware
) -> MemoryEstimate:
    """The memory of one device where processes share out what one process would need.

    Processes on a CPU share its memory, so there it is what all of them need together.
    """
    chosen = choose_parallelism(asked, hardware)
    count, on_cpu = chosen.processes, hardware.kind is DeviceKind.CPU
    parts = replace(
        memory,
        weights=math.ceil(memory.weights / count) if chosen.shards_weights else memory.weights,
        gradients=math.ceil(memory.gradients / count)
        if chosen.shards_states and chosen.zero != 1
        else memory.gradients,
        optimizer=math.ceil(memory.optimizer / count) if chosen.shards_states else memory.optimizer,
    )
    if on_cpu:
        return MemoryEstimate(
            weights=parts.weights * count,
            gradients=parts.gradients * count,
            optimizer=parts.optimizer * count,
            activations=parts.activations * count,
            logits=parts.logits * count,
            runtime=parts.runtime * count,
        )
    kept_out = {"none": (), "optimizer": ("optimizer",), "all": ("optimizer", "weights")}
    return replace(parts, **dict.fromkeys(kept_out[asked.offload], 0))
