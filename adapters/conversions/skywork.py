"""Skywork 13B as Llama: the same network under the same names (Wei et al. 2023)."""

from typing import Any

from adapters.models.native import Source, Weights, llama_config

TOKENIZER = "LlamaTokenizer"


def native_config(source: Source) -> dict[str, Any]:
    """Llama's config."""
    return llama_config(source)


def native_weights(name: str, tensor: Any, source: Source) -> Weights:
    """Llama's names, as they are."""
    if not name.endswith("inv_freq"):
        yield name, tensor
