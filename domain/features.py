"""What a tuning method can be combined with: the columns of the compatibility matrix (Table 2)."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One way to train with less memory or time, as overrides of a spec."""

    name: str
    """What the column is called."""
    overrides: tuple[str, ...]
    """What turns it on."""


MIXED = ("precision.mode=mixed", "precision.dtype=bfloat16")

FEATURES = (
    Feature(name="mixed precision", overrides=MIXED),
    Feature(name="half precision", overrides=("precision.mode=half", "precision.dtype=bfloat16")),
    Feature(name="checkpointing", overrides=("model.gradient_checkpointing=true",)),
    Feature(name="eager attention", overrides=("model.attention=eager",)),
    Feature(name="S2 attention", overrides=("model.attention=s2",)),
    Feature(name="flash attention", overrides=("model.attention=flash_attention_2", *MIXED)),
    Feature(name="Liger", overrides=("model.kernels=liger",)),
    Feature(name="Unsloth", overrides=("model.kernels=unsloth",)),
    Feature(name="NEFTune", overrides=("model.neftune_alpha=5",)),
    Feature(name="packing", overrides=("batching.packing=true",)),
    Feature(name="streaming", overrides=("data.streaming=true", "schedule.max_steps=4")),
    Feature(
        name="4 bits",
        overrides=("quantization.name=bitsandbytes", "quantization.bits=4", *MIXED),
    ),
    Feature(
        name="8 bits",
        overrides=("quantization.name=bitsandbytes", "quantization.bits=8", *MIXED),
    ),
    *(
        Feature(
            name=name,
            overrides=("parallelism.processes=2", f"parallelism.strategy={strategy}", *more),
        )
        for name, strategy, more in (
            ("DDP", "ddp", ()),
            ("ZeRO-2", "deepspeed", ("parallelism.zero=2",)),
            ("ZeRO-3", "deepspeed", ("parallelism.zero=3",)),
            ("FSDP2", "fsdp2", ()),
        )
    ),
)


class Verdict(StrEnum):
    """What planning says of a combination."""

    FITS = "fits"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A method with a feature."""

    method: str
    feature: str
    verdict: Verdict
    rules: tuple[str, ...] = ()
    """Codes of the rules that refuse it."""
