"""DeepSeek-MoE 16B as Qwen2-MoE (Dai et al. 2024, section 3).

DeepSeek V2 and V3 compress keys and values, this one does not: its attention is Llama's. Qwen2-MoE
multiplies the shared experts by sigmoid(gate(x)). A gate of zeros makes that 1/2 exactly, and the
shared experts' last matrix is doubled, which costs no bit: the two are the same function.
"""

import re
from typing import Any

from adapters.models.native import SHARED_KEYS, Source, UnfitError, Weights, require, rope_of

TOKENIZER = None
ROUTER = re.compile(r"(model\.layers\.\d+\.mlp\.)gate\.weight")


def native_config(source: Source) -> dict[str, Any]:
    """Qwen2-MoE's config."""
    require(source, moe_layer_freq=1, scoring_func="softmax", attention_bias=False)
    if not source.get("n_shared_experts") or source.get("routed_scaling_factor", 1.0) != 1.0:
        raise UnfitError("its experts are combined otherwise than in DeepSeek-MoE 16B")
    kept = {key: source[key] for key in SHARED_KEYS if key in source}
    return {
        "num_key_value_heads": source["num_attention_heads"],
        **kept,
        "model_type": "qwen2_moe",
        "qkv_bias": False,
        "rope_parameters": rope_of(source),
        "num_experts": source["n_routed_experts"],
        "num_experts_per_tok": source["num_experts_per_tok"],
        "norm_topk_prob": source.get("norm_topk_prob", False),
        "moe_intermediate_size": source["moe_intermediate_size"],
        "shared_expert_intermediate_size": source["n_shared_experts"]
        * source["moe_intermediate_size"],
        "mlp_only_layers": list(range(source.get("first_k_dense_replace", 0))),
    }


def native_weights(name: str, tensor: Any, source: Source) -> Weights:
    """Qwen2-MoE's names, with the gate that it wants."""
    if name.endswith("inv_freq"):
        return
    if router := ROUTER.fullmatch(name):
        yield f"{router[1]}shared_expert_gate.weight", tensor.new_zeros(1, source["hidden_size"])
    native = name.replace(".mlp.shared_experts.", ".mlp.shared_expert.")
    yield native, tensor * 2 if native.endswith("shared_expert.down_proj.weight") else tensor
