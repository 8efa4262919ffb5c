"""Tiny models of every convertible family: config, shapes and forward pass as published."""

from typing import Any

import torch
from torch.nn.functional import linear, silu

from tests.contracts.original_networks import (
    LAYERS,
    C,
    D,
    F,
    G,
    H,
    Original,
    Shapes,
    V,
    Weights,
    attend,
    heads_of,
    project,
    rms,
    run,
    shape_by_norm,
    shaped,
    swiglu,
    turned,
    unit_rows,
)

LLAMA_NORMS = ("input_layernorm", "post_attention_layernorm")
MLP = {"mlp.gate_proj.weight": (F, D), "mlp.up_proj.weight": (F, D), "mlp.down_proj.weight": (D, F)}
NORMED = {f"{name}.weight": (D,) for name in LLAMA_NORMS}
LLAMA_ENDS = {"/model.embed_tokens.weight": (V, D), "/model.norm.weight": (D,)}
HEAD = {"/lm_head.weight": (V, D)}
SEPARATE = {f"self_attn.{each}_proj.weight": (D, D) for each in "qkvo"}
COMMON: dict[str, Any] = {
    "vocab_size": V,
    "hidden_size": D,
    "intermediate_size": F,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": H,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "max_position_embeddings": 64,
    "auto_map": {"AutoConfig": "own.Config"},
    "torch_dtype": "float32",
    "tie_word_embeddings": False,
}


def separate_attention(w: Weights, layer: str, x: torch.Tensor) -> torch.Tensor:
    """Llama's: four projections, rotary halves."""
    q, k, v = (heads_of(project(w, f"{layer}self_attn.{each}_proj", x), H) for each in "qkv")
    return project(w, f"{layer}self_attn.o_proj", attend(turned(q), turned(k), v))


def gated(w: Weights, layer: str, x: torch.Tensor) -> torch.Tensor:
    return swiglu(w, f"{layer}mlp.", x, "gate_proj up_proj down_proj")


def like_llama(w: Weights, ids: torch.Tensor) -> torch.Tensor:
    """Skywork, and InternLM with its biases."""
    blocks = (
        lambda layer, x: separate_attention(w, layer, x),
        lambda layer, x: gated(w, layer, x),
    )
    x = run(w, w["model.embed_tokens.weight"][ids], "model.layers", LLAMA_NORMS, blocks)
    return linear(rms(x, w["model.norm.weight"]), w["lm_head.weight"])


def baichuan_hidden(w: Weights, ids: torch.Tensor) -> torch.Tensor:
    def attention(layer: str, x: torch.Tensor) -> torch.Tensor:
        packed = project(w, f"{layer}self_attn.W_pack", x).unflatten(-1, (3, D))
        q, k, v = (heads_of(packed[:, number], H) for number in range(3))
        return project(w, f"{layer}self_attn.o_proj", attend(turned(q), turned(k), v))

    blocks = (attention, lambda layer, x: gated(w, layer, x))
    x = run(w, w["model.embed_tokens.weight"][ids], "model.layers", LLAMA_NORMS, blocks)
    return rms(x, w["model.norm.weight"])


def baichuan(w: Weights, ids: torch.Tensor) -> torch.Tensor:
    return linear(baichuan_hidden(w, ids), w["lm_head.weight"])


def baichuan2(w: Weights, ids: torch.Tensor) -> torch.Tensor:
    return linear(baichuan_hidden(w, ids), unit_rows(w["lm_head.weight"]))


def baichuan_shapes(vocabulary: int) -> Shapes:
    packed = {"self_attn.W_pack.weight": (3 * D, D), "self_attn.o_proj.weight": (D, D)}
    buffer = {"self_attn.rotary_emb.inv_freq": (C // 2,)}
    shapes = shaped({**packed, **buffer, **MLP, **NORMED, **LLAMA_ENDS, **HEAD}, "model.layers")
    wide = dict.fromkeys(("model.embed_tokens.weight", "lm_head.weight"), (vocabulary, D))
    return {**shapes, **wide}


def orion(w: Weights, ids: torch.Tensor) -> torch.Tensor:
    blocks = (
        lambda layer, x: separate_attention(w, layer, x),
        lambda layer, x: gated(w, layer, x),
    )

    def norm(name: str, x: torch.Tensor) -> torch.Tensor:
        return shape_by_norm(w, name, x)

    x = run(w, w["model.embed_tokens.weight"][ids], "model.layers", LLAMA_NORMS, blocks, norm)
    return linear(norm("model.norm", x), w["lm_head.weight"])


def internlm2(w: Weights, ids: torch.Tensor) -> torch.Tensor:
    def attention(layer: str, x: torch.Tensor) -> torch.Tensor:
        groups = project(w, f"{layer}attention.wqkv", x).unflatten(-1, (G, H // G + 2, C))
        q = groups[:, :, :-2].flatten(1, 2).transpose(0, 1)
        k, v = (groups[:, :, number].transpose(0, 1) for number in (-2, -1))
        mixed = attend(turned(q, 1e6), turned(k, 1e6), v)
        return project(w, f"{layer}attention.wo", mixed)

    def mlp(layer: str, x: torch.Tensor) -> torch.Tensor:
        return swiglu(w, f"{layer}feed_forward.", x, "w1 w3 w2")

    norms = ("attention_norm", "ffn_norm")
    embedded = w["model.tok_embeddings.weight"][ids]
    x = run(w, embedded, "model.layers", norms, (attention, mlp))
    return linear(rms(x, w["model.norm.weight"]), w["output.weight"])


def qwen(w: Weights, ids: torch.Tensor) -> torch.Tensor:
    def attention(layer: str, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (heads_of(x, H) for x in project(w, f"{layer}attn.c_attn", x).split(D, dim=-1))
        return project(w, f"{layer}attn.c_proj", attend(turned(q), turned(k), v))

    def mlp(layer: str, x: torch.Tensor) -> torch.Tensor:
        inner = project(w, f"{layer}mlp.w1", x) * silu(project(w, f"{layer}mlp.w2", x))
        return project(w, f"{layer}mlp.c_proj", inner)

    embedded = w["transformer.wte.weight"][ids]
    x = run(w, embedded, "transformer.h", ("ln_1", "ln_2"), (attention, mlp))
    return linear(rms(x, w["transformer.ln_f.weight"]), w["lm_head.weight"])


def chatglm(w: Weights, ids: torch.Tensor) -> torch.Tensor:
    def half_turned(heads: torch.Tensor) -> torch.Tensor:
        front, back = heads.split(C // 2, dim=-1)
        return torch.cat((turned(front, pairs="neighbours"), back), dim=-1)

    def attention(layer: str, x: torch.Tensor) -> torch.Tensor:
        packed = project(w, f"{layer}self_attention.query_key_value", x)
        q, k, v = packed.split((H * C, G * C, G * C), dim=-1)
        mixed = attend(half_turned(heads_of(q, H)), half_turned(heads_of(k, G)), heads_of(v, G))
        return project(w, f"{layer}self_attention.dense", mixed)

    def mlp(layer: str, x: torch.Tensor) -> torch.Tensor:
        gate, up = project(w, f"{layer}mlp.dense_h_to_4h", x).chunk(2, dim=-1)
        return project(w, f"{layer}mlp.dense_4h_to_h", silu(gate) * up)

    embedded = w["transformer.embedding.word_embeddings.weight"][ids]
    x = run(w, embedded, "transformer.encoder.layers", LLAMA_NORMS, (attention, mlp))
    x = rms(x, w["transformer.encoder.final_layernorm.weight"])
    return linear(x, w["transformer.output_layer.weight"])


EXPERTS, CHOSEN, SHARED, FE = 4, 2, 2, 32


def deepseek(w: Weights, ids: torch.Tensor) -> torch.Tensor:
    """Shared experts always, the best by softmax unscaled; layer 0 is dense."""

    def mlp(layer: str, x: torch.Tensor) -> torch.Tensor:
        if layer == "model.layers.0.":
            return gated(w, layer, x)
        names = "gate_proj up_proj down_proj"
        out = swiglu(w, f"{layer}mlp.shared_experts.", x, names)
        weight_TE, best_TK = project(w, f"{layer}mlp.gate", x).softmax(-1).topk(CHOSEN)
        for token in range(len(x)):
            for weight, expert in zip(weight_TE[token], best_TK[token], strict=True):
                at = f"{layer}mlp.experts.{int(expert)}."
                out[token] += weight * swiglu(w, at, x[token : token + 1], names)[0]
        return out

    blocks = (lambda layer, x: separate_attention(w, layer, x), mlp)
    x = run(w, w["model.embed_tokens.weight"][ids], "model.layers", LLAMA_NORMS, blocks)
    return linear(rms(x, w["model.norm.weight"]), w["lm_head.weight"])


def deepseek_shapes() -> Shapes:
    shapes = shaped({**SEPARATE, **NORMED, **LLAMA_ENDS, **HEAD}, "model.layers")
    shapes |= {f"model.layers.0.{name}": shape for name, shape in MLP.items()}
    at = "model.layers.1.mlp"
    shapes[f"{at}.gate.weight"] = (EXPERTS, D)
    inner = {f"experts.{number}": FE for number in range(EXPERTS)} | {"shared_experts": SHARED * FE}
    for name, width in inner.items():
        shapes |= {f"{at}.{name}.{each}_proj.weight": (width, D) for each in ("gate", "up")}
        shapes[f"{at}.{name}.down_proj.weight"] = (D, width)
    return shapes


TELECHAT_LAYERS = {"7B": 30, "12B": 38}
TELECHAT_BASES = {"7B": 10000.0 * 3 ** (C / (C - 2)), "12B": 10000.0}
"""Past their own 4096 and 8192 tokens the base grows: 2^(ceil(log2(8192 / own)) + 1) - 1 times."""


def telechat(size: str) -> Original:
    layers, base = TELECHAT_LAYERS[size], TELECHAT_BASES[size]

    def forward(w: Weights, ids: torch.Tensor) -> torch.Tensor:
        def attention(layer: str, x: torch.Tensor) -> torch.Tensor:
            q = heads_of(project(w, f"{layer}self_attention.query", x), H)
            both = heads_of(project(w, f"{layer}self_attention.key_value", x), H)
            k, v = both.chunk(2, dim=-1)
            mixed = attend(turned(q, base), turned(k, base), v)
            return project(w, f"{layer}self_attention.dense", mixed)

        blocks = (attention, lambda layer, x: gated(w, layer, x))
        embedded = w["transformer.word_embeddings.weight"][ids]
        x = run(w, embedded, "transformer.h", LLAMA_NORMS, blocks, layers=layers)
        return linear(rms(x, w["transformer.ln_f.weight"]), w["lm_head.weight"])

    config = {
        "model_type": "telechat",
        "vocab_size": V,
        "hidden_size": D,
        "n_layer": layers,
        "n_head": H,
        "ffn_hidden_size": F,
        "layer_norm_epsilon": 1e-6,
        "training_seqlen": 8192,
        "embed_layernorm": False,
        "apply_residual_connection_post_layernorm": False,
    }
    rows = {
        "self_attention.query.weight": (D, D),
        "self_attention.key_value.weight": (2 * D, D),
        "self_attention.dense.weight": (D, D),
        "self_attention.dense.bias": (D,),
        "mlp.down_proj.bias": (D,),
        "/transformer.word_embeddings.weight": (V, D),
        "/transformer.ln_f.weight": (D,),
    }
    shapes = shaped({**rows, **MLP, **NORMED, **HEAD}, "transformer.h", layers)
    return Original(f"telechat-{size}", config, shapes, forward)


INTERNLM2_SHAPES = {
    "attention.wqkv.weight": ((H + 2 * G) * C, D),
    "attention.wo.weight": (D, D),
    "attention_norm.weight": (D,),
    "ffn_norm.weight": (D,),
    "feed_forward.w1.weight": (F, D),
    "feed_forward.w3.weight": (F, D),
    "feed_forward.w2.weight": (D, F),
    "/model.tok_embeddings.weight": (V, D),
    "/model.norm.weight": (D,),
    "/output.weight": (V, D),
}
QWEN_SHAPES = {
    "attn.c_attn.weight": (3 * D, D),
    "attn.c_attn.bias": (3 * D,),
    "attn.c_proj.weight": (D, D),
    "ln_1.weight": (D,),
    "ln_2.weight": (D,),
    "mlp.w1.weight": (F, D),
    "mlp.w2.weight": (F, D),
    "mlp.c_proj.weight": (D, F),
    "/transformer.wte.weight": (V, D),
    "/transformer.ln_f.weight": (D,),
    **HEAD,
}
CHATGLM_SHAPES = {
    "self_attention.query_key_value.weight": ((H + 2 * G) * C, D),
    "self_attention.query_key_value.bias": ((H + 2 * G) * C,),
    "self_attention.dense.weight": (D, D),
    "mlp.dense_h_to_4h.weight": (2 * F, D),
    "mlp.dense_4h_to_h.weight": (D, F),
    "/transformer.embedding.word_embeddings.weight": (V, D),
    "/transformer.rotary_pos_emb.inv_freq": (C // 4,),
    "/transformer.encoder.final_layernorm.weight": (D,),
    "/transformer.output_layer.weight": (V, D),
    **NORMED,
}
CHATGLM = {
    "model_type": "chatglm",
    "padded_vocab_size": V,
    "hidden_size": D,
    "ffn_hidden_size": F,
    "num_layers": LAYERS,
    "num_attention_heads": H,
    "multi_query_attention": True,
    "multi_query_group_num": G,
    "kv_channels": C,
    "seq_length": 64,
    "layernorm_epsilon": 1e-6,
    "add_qkv_bias": True,
    "add_bias_linear": False,
    "rmsnorm": True,
    "post_layer_norm": True,
    "auto_map": {"AutoConfig": "own.Config"},
}
QWEN = {
    **{key: COMMON[key] for key in COMMON if key not in ("rms_norm_eps", "hidden_act")},
    "model_type": "qwen",
    "intermediate_size": 2 * F,
    "layer_norm_epsilon": 1e-6,
    "kv_channels": C,
    "seq_length": 64,
    "rotary_pct": 1.0,
    "rotary_emb_base": 10000,
    "no_bias": True,
    "scale_attn_weights": True,
    "use_dynamic_ntk": True,
    "use_logn_attn": True,
}
DEEPSEEK = {
    **COMMON,
    "model_type": "deepseek",
    "num_key_value_heads": H,
    "n_routed_experts": EXPERTS,
    "n_shared_experts": SHARED,
    "num_experts_per_tok": CHOSEN,
    "moe_intermediate_size": FE,
    "first_k_dense_replace": 1,
    "moe_layer_freq": 1,
    "norm_topk_prob": False,
    "scoring_func": "softmax",
}
BIASES = {f"self_attn.{each}_proj.bias": (D,) for each in "qkvo"}
LLAMA_SHAPES = {**SEPARATE, **MLP, **NORMED, **LLAMA_ENDS, **HEAD}
SHIFTS = {name.replace("weight", "bias"): shape for name, shape in NORMED.items()}
ROTARY = {"base": 10000, "type": "dynamic"}
GROUPED = {"num_key_value_heads": G, "rope_theta": 1000000, "bias": False}
DYNAMIC = {"rope_scaling": {"type": "dynamic", "factor": 2.0}}


def of_llama_style(name: str, forward: Any, rows: Any, **config: Any) -> Original:
    return Original(name, {**COMMON, **config}, shaped(rows, "model.layers"), forward)


ORIGINALS = [
    Original("baichuan", {**COMMON, "model_type": "baichuan"}, baichuan_shapes(V), baichuan),
    Original(
        "baichuan2",
        {**COMMON, "model_type": "baichuan", "vocab_size": 125696},
        baichuan_shapes(125696),
        baichuan2,
    ),
    of_llama_style(
        "internlm",
        like_llama,
        {**LLAMA_SHAPES, **BIASES},
        **{"model_type": "internlm", "bias": True, "rotary": ROTARY},
    ),
    of_llama_style(
        "internlm2", internlm2, INTERNLM2_SHAPES, model_type="internlm2", **GROUPED, **DYNAMIC
    ),
    Original("qwen", QWEN, shaped(QWEN_SHAPES, "transformer.h"), qwen),
    of_llama_style("skywork", like_llama, LLAMA_SHAPES, model_type="skywork"),
    of_llama_style(
        "orion",
        orion,
        {**LLAMA_SHAPES, **SHIFTS, "/model.norm.bias": (D,)},
        model_type="orion",
    ),
    Original("chatglm", CHATGLM, shaped(CHATGLM_SHAPES, "transformer.encoder.layers"), chatglm),
    Original("deepseek", DEEPSEEK, deepseek_shapes(), deepseek),
    telechat("7B"),
    telechat("12B"),
]
