"""Qwen (the first) as Qwen2: `c_attn` split, the rest renamed (Bai et al. 2023).

Its MLP is w1(x) * silu(w2(x)), with `intermediate_size` counting both. Its NTK and log-n scaling
begin past `seq_length` tokens, so both are the same function up to there.
"""

import re
from typing import Any

from adapters.models.native import SHARED_KEYS, Source, Weights, require, split_rows

TOKENIZER = None
RENAMED = {
    "transformer.wte": "model.embed_tokens",
    "transformer.ln_f": "model.norm",
    "ln_1": "input_layernorm",
    "ln_2": "post_attention_layernorm",
    "attn.c_proj": "self_attn.o_proj",
    "mlp.w1": "mlp.up_proj",
    "mlp.w2": "mlp.gate_proj",
    "mlp.c_proj": "mlp.down_proj",
}
NAME = re.compile(r"(?:transformer\.h\.(?P<layer>\d+)\.)?(?P<module>.+)\.(?P<kind>weight|bias)")


def native_config(source: Source) -> dict[str, Any]:
    """Qwen2's config."""
    width = source["hidden_size"] // source["num_attention_heads"]
    require(source, rotary_pct=1.0, no_bias=True, kv_channels=width, scale_attn_weights=True)
    kept = {key: source[key] for key in SHARED_KEYS if key in source}
    return kept | {
        "model_type": "qwen2",
        "num_key_value_heads": source["num_attention_heads"],
        "intermediate_size": source["intermediate_size"] // 2,
        "rms_norm_eps": source.get("layer_norm_epsilon", 1e-6),
        "max_position_embeddings": source["seq_length"],
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": float(source.get("rotary_emb_base", 10000)),
        },
    }


def native_weights(name: str, tensor: Any, source: Source) -> Weights:
    """Qwen2's names."""
    found = NAME.fullmatch(name)
    if found is None:
        return
    prefix = f"model.layers.{found['layer']}." if found["layer"] else ""
    if found["module"] == "attn.c_attn":
        width = source["hidden_size"]
        into = {f"{prefix}self_attn.{each}_proj": width for each in "qkv"}
        yield from split_rows(name, tensor, into)
    else:
        module = RENAMED.get(found["module"], found["module"])
        yield f"{prefix}{module}.{found['kind']}", tensor
