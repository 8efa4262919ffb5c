"""What an optimizer asks of a run, and what it keeps in memory."""

from dataclasses import dataclass
from enum import StrEnum


class Need(StrEnum):
    """Something a run must have, or must not have, for an optimizer to do what it says."""

    WHOLE_WEIGHTS = "whole_weights"
    """Whole weight matrices learn: low-rank adapters are small already."""
    CONSTANT_RATE = "constant_rate"
    """The learning rate stays, as the optimizer averages in place of a schedule."""
    ONE_PASS = "one_pass"
    """One forward pass makes a step: gradients are used up or cut while they arrive."""
    UNCLIPPED = "unclipped"
    """Gradients are not scaled to a norm, which is known only after they were used."""
    UNSCALED = "unscaled"
    """No loss scaling, which float16 needs and undoes only after the backward pass."""
    GPU = "gpu"
    """A GPU whose memory the states can leave."""
    LONE_DEVICE = "lone_device"
    """No second GPU in sight: the library would wait for a process on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What an optimizer keeps for the weights that learn."""

    numbers: int
    """How many numbers."""
    number_bytes: float | None = None
    """Bytes of each; those of the plan's dtype for optimizer states where None."""
    gradients: int | None = None
    """Weights whose gradients exist at once; all that learn where None."""
