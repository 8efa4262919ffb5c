"""TeleChat 7B and 12B as Llama: `key_value` taken apart, biases of zero where Llama wants one.

Their rotary base is raised for the trained length (Wang et al. 2024; modeling_telechat.py), by a
constant that stands in the code and not in the config: it counts from 4096 tokens in the 7B and
from 8192 in the 12B, and begins to change past `training_seqlen`.
"""

import math
import re
from typing import Any

from adapters.models.native import SHARED_KEYS, Source, UnfitError, Weights, require

TOKENIZER = None
COUNTED_FROM = {30: 4096, 38: 8192}
"""Tokens that the rotary base counts from, by layers: the 7B's and the 12B's."""
RENAMED = {
    "transformer.word_embeddings": "model.embed_tokens",
    "transformer.ln_f": "model.norm",
    "self_attention.query": "self_attn.q_proj",
    "self_attention.dense": "self_attn.o_proj",
}
UNBIASED = ("self_attn.q_proj", "mlp.gate_proj", "mlp.up_proj")
"""Projections without a bias, where Llama's switch gives all of a block one."""
NAME = re.compile(r"(?:transformer\.h\.(?P<layer>\d+)\.)?(?P<module>.+)\.(?P<kind>weight|bias)")


def native_config(source: Source) -> dict[str, Any]:
    """Llama's config."""
    require(source, apply_residual_connection_post_layernorm=False, embed_layernorm=False)
    if source["n_layer"] not in COUNTED_FROM:
        raise UnfitError("its rotary base is known for the 7B and the 12B only")
    width = source["hidden_size"] // source["n_head"]
    length = source["training_seqlen"]
    raised = max(2 ** math.ceil(math.log2(length / COUNTED_FROM[source["n_layer"]]) + 1) - 1, 1)
    kept = {key: source[key] for key in SHARED_KEYS if key in source}
    return kept | {
        "model_type": "llama",
        "num_hidden_layers": source["n_layer"],
        "num_attention_heads": source["n_head"],
        "num_key_value_heads": source["n_head"],
        "intermediate_size": source["ffn_hidden_size"],
        "rms_norm_eps": source["layer_norm_epsilon"],
        "max_position_embeddings": length,
        "attention_bias": True,
        "mlp_bias": True,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10000.0 * raised ** (width / (width - 2)),
        },
    }


def native_weights(name: str, tensor: Any, source: Source) -> Weights:
    """Llama's names; `key_value` holds each head's key and then its value."""
    found = NAME.fullmatch(name)
    if found is None:
        return
    prefix = f"model.layers.{found['layer']}." if found["layer"] else ""
    module = RENAMED.get(found["module"], found["module"])
    if module == "self_attention.key_value":
        rows = tensor.unflatten(0, (source["n_head"], 2, -1))
        for number, each in enumerate("kv"):
            part = rows[:, number].flatten(0, 1)
            yield f"{prefix}self_attn.{each}_proj.weight", part
            yield f"{prefix}self_attn.{each}_proj.bias", part.new_zeros(len(part))
        return
    yield f"{prefix}{module}.{found['kind']}", tensor
    if module in UNBIASED:
        yield f"{prefix}{module}.bias", tensor.new_zeros(len(tensor))
