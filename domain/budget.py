"""Memory of a run, estimated by component before anything is loaded.

Weights, gradients and optimizer states are counted. LLaMA-Factory paper, section 3.2: 18 bytes per
parameter in mixed precision (float32 weights, gradients and two AdamW states, and a 16-bit copy of
the weights), 8 in half precision, 0.6 with QLoRA. Activations follow the method of Korthikanti et
al. 2022, "Reducing Activation Recomputation in Large Transformer Models", section 4: the tensors a
layer keeps for its backward pass, here of a pre-norm decoder layer with rotary attention and a
gated MLP. Measured on SmolLM2-135M with LoRA in float32: 1176 MB kept, 1148 MB by this count.
"""

from dataclasses import asdict, dataclass

from domain.model_handle import ModelHandle
from domain.optimizing import Kept
from domain.precision import BYTES, PrecisionPolicy

GIB = 1024**3

KEPT_HIDDEN = 16
"""Tensors of hidden width a layer keeps: two norms' inputs and outputs, q, k, v, residuals."""
KEPT_MLP = 5
"""Tensors of MLP width a layer keeps: gate, its activation, up, their product, down's input."""
KEPT_SCORES = 2.5
"""Tensors of attention scores an unfused layer keeps; fused attention keeps none."""
ADAM_STATES = 2
LOGIT_CHUNK = 32768
"""Vocabulary columns whose logits exist at once: the loss is computed in tiles."""
LOGIT_COPIES = 3
"""float32 copies of a tile: logits, probabilities, gradient."""
CPU_RUNTIME_BYTES = 512 * 1024**2
"""PyTorch and its companions in memory; measured 478 MB."""


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
    """One tile of the output layer's logits and what the loss makes of it."""
    runtime: int
    """The libraries themselves, where they share the memory: on a CPU."""

    @property
    def total(self) -> int:
        """Sum of the components, in bytes."""
        return sum(asdict(self).values())


def estimate_memory(
    model: ModelHandle,
    policy: PrecisionPolicy,
    *,
    trainable: int,
    adds_weights: bool,
    optimizer: Kept | None = None,
    quantized_bytes_per_weight: float | None,
    rows: int,
    tokens: int,
    fused_attention: bool,
    checkpointing: bool,
    on_cpu: bool,
    reference_copy: bool = False,
    tiled_loss: bool = True,
    beside: int = 0,
    writes: bool = False,
) -> MemoryEstimate:
    """Estimate for a batch of `rows` x `tokens`; `trainable` counts weights that learn.

    They come on top of the model's own with `adds_weights`, and are some of them without.
    `optimizer` is what the optimizer keeps; AdamW's two numbers for each weight where not given.
    A `reference_copy` is a second, frozen model; without a `tiled_loss` all logits exist at once.
    `beside` are further frozen weights. A model that `writes` answers keeps keys and values for
    them, at the most of full width, which are gone before activations are there.
    """
    linear = sum(group.inputs * group.outputs * group.count for group in model.linear)
    packed = quantized_bytes_per_weight
    frozen = model.parameters if adds_weights else model.parameters - trainable
    weights = frozen * BYTES[policy.weights] + trainable * BYTES[policy.trainable]
    if packed is not None:
        weights -= round(linear * (BYTES[policy.weights] - packed))
    if reference_copy:
        weights *= 2
    weights += beside * BYTES[policy.weights]
    if policy.mode == "mixed":
        weights += trainable * BYTES[policy.compute]  # what the products read, kept for backward
    width = BYTES[policy.compute]
    mlp = max((max(group.inputs, group.outputs) for group in model.linear), default=model.hidden)
    kept = rows * tokens * (KEPT_HIDDEN * model.hidden + KEPT_MLP * mlp)
    if not fused_attention:
        kept += round(KEPT_SCORES * rows * model.heads * tokens * tokens)
    kept_layers = 1 if checkpointing else model.layers
    cache = rows * tokens * 2 * model.hidden * width * model.layers
    inputs = rows * tokens * model.hidden * width * model.layers if checkpointing else 0
    keeps = optimizer or Kept(numbers=ADAM_STATES * trainable)
    gradients = trainable if keeps.gradients is None else min(trainable, keeps.gradients)
    columns = min(model.vocabulary, LOGIT_CHUNK) if tiled_loss else model.vocabulary
    tile = rows * tokens * columns
    return MemoryEstimate(
        weights=weights,
        gradients=gradients * BYTES[policy.trainable],
        optimizer=round(keeps.numbers * (keeps.number_bytes or BYTES[policy.optimizer])),
        activations=max(kept * width * kept_layers + inputs, cache if writes else 0),
        logits=tile * LOGIT_COPIES * BYTES["float32"],
        runtime=CPU_RUNTIME_BYTES if on_cpu else 0,
    )


def bytes_per_parameter(memory: MemoryEstimate, model: ModelHandle) -> float:
    """Weights, gradients and optimizer states for each of the model's weights, in bytes."""
    return (memory.weights + memory.gradients + memory.optimizer) / model.parameters


def shown_bytes(count: float) -> str:
    """A byte count for people, such as 1.25 GiB."""
    for unit, size in (("GiB", GIB), ("MiB", 1024**2), ("KiB", 1024)):
        if count >= size:
            return f"{count / size:.2f} {unit}"
    return f"{count:.0f} B"


def shown_components(memory: MemoryEstimate) -> str:
    """What an estimate is made of, the largest first, such as weights 1.20 GiB."""
    parts = sorted(asdict(memory).items(), key=lambda part: part[1], reverse=True)
    return ", ".join(f"{name} {shown_bytes(count)}" for name, count in parts if count)


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
