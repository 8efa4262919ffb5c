"""Memory of a run, estimated by component before anything is loaded.

Weights, gradients and AdamW states by count (LLaMA-Factory paper, section 3.2: 18 bytes per
parameter in mixed precision). Activations by Korthikanti et al. 2022, "Reducing Activation
Recomputation in Large Transformer Models", equation 2, without dropout masks: about 34*s*b*h
bytes per layer in 16 bits, plus 5*a*s*s*b for attention scores, which fused attention never
stores. The output layer adds logits, their float32 copy and their gradient.
"""

from dataclasses import asdict, dataclass

from domain.model_handle import ModelHandle
from domain.precision import BYTES, PrecisionPolicy

GIB = 1024**3

ACTIVATION_BYTES_16_BIT = 34
SCORE_BYTES_16_BIT = 5
ADAM_STATES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryEstimate:
    """Bytes on one device at the peak of a training step."""

    weights: int
    """Frozen and trained weights."""
    gradients: int
    """Gradients of the trained weights."""
    optimizer: int
    """Optimizer states."""
    activations: int
    """What the forward pass keeps for the backward pass."""
    logits: int
    """The output layer's logits, their float32 copy and gradient."""

    @property
    def total(self) -> int:
        """Sum of the components, in bytes."""
        return sum(asdict(self).values())


def estimate_memory(
    model: ModelHandle,
    policy: PrecisionPolicy,
    *,
    trainable: int,
    trains_all: bool,
    quantized_bytes_per_weight: float | None,
    rows: int,
    tokens: int,
    fused_attention: bool,
    checkpointing: bool,
) -> MemoryEstimate:
    """Estimate for a batch of `rows` x `tokens`; `trainable` counts weights that learn."""
    linear = sum(group.inputs * group.outputs * group.count for group in model.linear)
    packed = quantized_bytes_per_weight
    if trains_all:
        weights = model.parameters * BYTES[policy.trainable]
    elif packed is None:
        weights = model.parameters * BYTES[policy.weights] + trainable * BYTES[policy.trainable]
    else:
        rest = (model.parameters - linear) * BYTES[policy.weights]
        weights = round(linear * packed) + rest + trainable * BYTES[policy.trainable]
    width = BYTES[policy.compute]
    per_layer = ACTIVATION_BYTES_16_BIT * rows * tokens * model.hidden * width // 2
    if not fused_attention:
        per_layer += SCORE_BYTES_16_BIT * model.heads * tokens * tokens * rows * width // 2
    kept_layers = 1 if checkpointing else model.layers
    inputs = rows * tokens * model.hidden * width * model.layers if checkpointing else 0
    return MemoryEstimate(
        weights=weights,
        gradients=trainable * BYTES[policy.trainable],
        optimizer=trainable * ADAM_STATES * BYTES[policy.optimizer],
        activations=per_layer * kept_layers + inputs,
        logits=rows * tokens * model.vocabulary * (width + 2 * BYTES["float32"]),
    )


def shown_bytes(count: float) -> str:
    """A byte count for people, such as 1.25 GiB."""
    for unit, size in (("GiB", GIB), ("MiB", 1024**2), ("KiB", 1024)):
        if count >= size:
            return f"{count / size:.2f} {unit}"
    return f"{count:.0f} B"


def remedies(*, per_device: int, checkpointing: bool, quantized: bool, max_tokens: int) -> str:
    """The three cheapest ways to need less memory, as overrides to copy."""
    ways = []
    if per_device > 1:
        ways.append("batching.per_device=1 batching.accumulate=" + str(per_device))
    if not checkpointing:
        ways.append("model.gradient_checkpointing=true")
    ways.append(f"data.max_tokens={max(8, max_tokens // 2)}")
    if not quantized:
        ways.append("quantization.name=bitsandbytes")
    return "; ".join(ways[:3])
