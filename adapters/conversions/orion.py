"""Orion 14B as StableLM: Llama with LayerNorm, scale and shift, in place of RMSNorm.

Names are the same (Chen et al. 2024, section 2.2; modeling_orion.py). StableLM turns a quarter of
a head's dimensions unless told otherwise; Orion turns all of them.
"""

from typing import Any

from adapters.models.native import SHARED_KEYS, Source, Weights, require, rope_of

TOKENIZER = "LlamaTokenizer"


def native_config(source: Source) -> dict[str, Any]:
    """StableLM's config."""
    require(source, attention_bias=False)
    rope = rope_of(source)
    kept = {key: source[key] for key in SHARED_KEYS if key in source and key != "rms_norm_eps"}
    return {
        "num_key_value_heads": source["num_attention_heads"],
        **kept,
        "model_type": "stablelm",
        "layer_norm_eps": source["rms_norm_eps"],
        "rope_parameters": {**rope, "partial_rotary_factor": 1.0},
    }


def native_weights(name: str, tensor: Any, source: Source) -> Weights:
    """StableLM's names, as they are."""
    if not name.endswith("inv_freq"):
        yield name, tensor
