"""ChatGLM2, ChatGLM3 and GLM-4 in their first layout, as GLM (Zeng et al. 2024).

Both turn half of a head's dimensions, in neighbouring pairs, and share keys and values among
groups of heads; only names and the packed projection differ. `rope_ratio` is refused: the long
ChatGLM2 divides positions by it, the later ones multiply the base.
"""

import re
from typing import Any

from adapters.models.native import Source, UnfitError, Weights, require, split_rows

TOKENIZER = None
RENAMED = {
    "transformer.embedding.word_embeddings": "model.embed_tokens",
    "transformer.encoder.final_layernorm": "model.norm",
    "transformer.output_layer": "lm_head",
    "self_attention.dense": "self_attn.o_proj",
    "mlp.dense_h_to_4h": "mlp.gate_up_proj",
    "mlp.dense_4h_to_h": "mlp.down_proj",
}
NAME = re.compile(
    r"(?:transformer\.encoder\.layers\.(?P<layer>\d+)\.)?(?P<module>.+)\.(?P<kind>weight|bias)"
)


def native_config(source: Source) -> dict[str, Any]:
    """GLM's config. The first ChatGLM, with `position_encoding_2d`, is another network."""
    if "padded_vocab_size" not in source:
        raise UnfitError("ChatGLM-6B, the first, has a prefix-masked network of its own")
    if source.get("rope_ratio", 1) != 1:
        raise UnfitError("its `rope_ratio` means different things in different repositories")
    require(
        source,
        rmsnorm=True,
        post_layer_norm=True,
        add_bias_linear=False,
        multi_query_attention=True,
        apply_residual_connection_post_layernorm=False,
        pre_seq_len=None,
    )
    return {
        "model_type": "glm",
        "vocab_size": source["padded_vocab_size"],
        "hidden_size": source["hidden_size"],
        "intermediate_size": source["ffn_hidden_size"],
        "num_hidden_layers": source["num_layers"],
        "num_attention_heads": source["num_attention_heads"],
        "num_key_value_heads": source["multi_query_group_num"],
        "head_dim": source["kv_channels"],
        "max_position_embeddings": source["seq_length"],
        "rms_norm_eps": source["layernorm_epsilon"],
        "attention_bias": source["add_qkv_bias"],
        "tie_word_embeddings": source.get("tie_word_embeddings", False),
        "pad_token_id": source.get("pad_token_id"),
        "eos_token_id": source.get("eos_token_id", 2),
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10000.0,
            "partial_rotary_factor": 0.5,
        },
    }


def native_weights(name: str, tensor: Any, source: Source) -> Weights:
    """GLM's names."""
    found = NAME.fullmatch(name)
    if found is None:
        return
    prefix = f"model.layers.{found['layer']}." if found["layer"] else ""
    if found["module"] == "self_attention.query_key_value":
        width = source["kv_channels"]
        heads, groups = source["num_attention_heads"], source["multi_query_group_num"]
        rows = {"q": heads * width, "k": groups * width, "v": groups * width}
        into = {f"{prefix}self_attn.{each}_proj": count for each, count in rows.items()}
        yield from split_rows(name, tensor, into)
    else:
        module = RENAMED.get(found["module"], found["module"])
        yield f"{prefix}{module}.{found['kind']}", tensor
