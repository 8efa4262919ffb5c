"""Training stages: one file each.

A file declares `STAGE` (a TrainingStage), `Options` (a section), `check(values)`, which raises
HextuneError for options that contradict each other, and `build_trainer(parts)`, the transformers
Trainer that does it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domain.fingerprint import Json
from domain.model_handle import ModelHandle
from domain.prepared import PreparedData


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a stage's trainer is built from."""

    network: Any
    """The torch module, of which only the method's weights require gradients."""
    tokenizer: Any
    """The tokenizer, or the processor of a multimodal model whose rows hold media."""
    data: PreparedData
    """Rows that are final: nothing is cut, packed or masked any more."""
    arguments: Mapping[str, Any]
    """Keyword arguments of any TrainingArguments class."""
    model: ModelHandle
    """What the network was loaded from."""
    callbacks: Sequence[Any]
    """transformers callbacks."""
    options: Mapping[str, Json]
    """The stage's options, filled in."""
    reference: Any = None
    """A `Reference` of adapters.answers, for stages whose STAGE needs one."""
    router_aux_loss: float = 0.0
    """Weight of the loss that spreads tokens evenly over experts; only in sft and pretrain."""
