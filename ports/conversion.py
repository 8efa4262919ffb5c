"""Rewriting a checkpoint that only its own code can load into one that a library loads."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionReport:
    """What was made of a checkpoint."""

    source_type: str
    """The `model_type` it had."""
    architecture: str
    """The class that loads it now."""
    tensors: int
    """Tensors written."""
    size_bytes: int
    """Bytes of the written weights."""
    shards: int
    """Files the weights are in."""
    tokenizer: str | None
    """Class that reads the carried tokenizer; none where only code of its own reads it."""
    context_tokens: int
    """Tokens up to which both are the same function."""
    folder: str
    """Where they are."""


class ModelConverter(Protocol):
    """Rewrites checkpoints; code that comes with one is never run."""

    def convert(self, source: str, target: str) -> ConversionReport:
        """Write the folder `source` anew in `target`. Raises HextuneError where nothing fits."""
