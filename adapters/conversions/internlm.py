"""InternLM as Llama: the same names, with biases on all four projections of attention.

Configs name the bias `bias` and keep rotary settings under `rotary` ({base, type}); `dynamic`
there is NTK scaling with factor 1 past the trained length (modeling_internlm.py).
"""

from typing import Any

from adapters.models.native import Source, Weights, llama_config, rope_of

TOKENIZER = "LlamaTokenizer"
ROTARY = {"origin": "default", "dynamic": "dynamic"}
"""InternLM's rotary types as transformers calls them."""


def native_config(source: Source) -> dict[str, Any]:
    """Llama's config."""
    rotary = source.get("rotary")
    rope = rope_of(source)
    if rotary is not None:
        scaling = {"type": ROTARY.get(rotary["type"], rotary["type"]), "factor": 1.0}
        rope = rope_of({"rope_theta": rotary.get("base", 10000), "rope_scaling": scaling})
    return llama_config(source, attention_bias=source.get("bias", True), rope_parameters=rope)


def native_weights(name: str, tensor: Any, source: Source) -> Weights:
    """Llama's names, as they are."""
    if not name.endswith("inv_freq"):
        yield name, tensor
