"""InternLM2 and InternLM2.5 as Llama: `wqkv` taken apart, the rest renamed (Cai et al. 2024).

Rows of `wqkv` come in one group for each key-value head: its queries, its key, its value.
"""

import re
from typing import Any

from adapters.models.native import Source, Weights, llama_config

TOKENIZER = "LlamaTokenizer"
RENAMED = {
    "model.tok_embeddings": "model.embed_tokens",
    "output": "lm_head",
    "attention.wo": "self_attn.o_proj",
    "attention_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "feed_forward.w1": "mlp.gate_proj",
    "feed_forward.w3": "mlp.up_proj",
    "feed_forward.w2": "mlp.down_proj",
}
NAME = re.compile(r"(?P<layer>model\.layers\.\d+\.)?(?P<module>.+)\.(?P<kind>weight|bias)")


def native_config(source: Source) -> dict[str, Any]:
    """Llama's config."""
    return llama_config(source, attention_bias=source.get("bias", True))


def native_weights(name: str, tensor: Any, source: Source) -> Weights:
    """Llama's names."""
    found = NAME.fullmatch(name)
    if found is None:
        return
    layer, module, kind = found["layer"] or "", found["module"], found["kind"]
    if module != "attention.wqkv":
        yield f"{layer}{RENAMED.get(module, module)}.{kind}", tensor
        return
    heads = source["num_attention_heads"]
    groups = source.get("num_key_value_heads") or heads
    each = heads // groups
    rows = tensor.unflatten(0, (groups, each + 2, source["hidden_size"] // heads))
    for letter, part in zip("qkv", rows.split((each, 1, 1), dim=1), strict=True):
        yield f"{layer}self_attn.{letter}_proj.{kind}", part.flatten(0, 2)
