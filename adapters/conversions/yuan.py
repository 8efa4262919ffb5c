"""Yuan 2.0: no conversion, as no native class filters attention's input by convolution.

Localized filtering-based attention (Wu et al. 2023, section 3.1) runs two causal convolutions over
the tokens before queries and keys are taken.
"""

from typing import Any

from adapters.models.native import Source, UnfitError, Weights

TOKENIZER = None


def native_config(source: Source) -> dict[str, Any]:
    """Always UnfitError."""
    raise UnfitError("its localized filtering-based attention is in no native class")


def native_weights(name: str, tensor: Any, source: Source) -> Weights:
    """Nothing."""
    yield from ()
