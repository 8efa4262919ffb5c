"""Baichuan 7B and Baichuan2 7B as Llama: packed projections split, NormHead written normalized.

The 13B models add ALiBi to attention scores, which no native class with RMSNorm and SwiGLU does.
Their configs have no `max_position_embeddings`. Baichuan2's vocabulary tells its NormHead
(Yang et al. 2023): logits are taken with rows of unit length.
"""

from typing import Any

from adapters.models.native import Source, UnfitError, Weights, llama_config, split_rows

TOKENIZER = "LlamaTokenizer"
BAICHUAN2_VOCABULARY = 125696


def native_config(source: Source) -> dict[str, Any]:
    """Llama's config."""
    if "max_position_embeddings" not in source or source["hidden_size"] == 5120:
        raise UnfitError("the 13B models use ALiBi, which no native class of this shape has")
    return llama_config(source)


def native_weights(name: str, tensor: Any, source: Source) -> Weights:
    """Llama's names; `W_pack` holds queries, keys and values in this order."""
    import torch

    if name.endswith("inv_freq"):
        return
    if ".W_pack." in name:
        prefix = name.partition("W_pack")[0]
        width = source["hidden_size"]
        yield from split_rows(name, tensor, {f"{prefix}{each}_proj": width for each in "qkv"})
    elif name == "lm_head.weight" and source["vocab_size"] == BAICHUAN2_VOCABULARY:
        yield name, torch.nn.functional.normalize(tensor.float()).to(tensor.dtype)
    else:
        yield name, tensor
