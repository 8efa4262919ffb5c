"""Rotary embeddings of transformers' models: what a config says of them, and a scaled config.

transformers reads `rope_parameters` when a network is built and wants them complete: the base kept,
and for yarn and llama3 the context before. `dynamic` counts from `max_position_embeddings`, so only
the other types raise it.
"""

from typing import Any

from domain.model_handle import ModelHandle
from domain.rope import LAYERED, RopeScaling

KEEPS_ORIGINAL = ("yarn", "llama3")
BANDS = {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
"""Llama 3.1's own, below and above which wavelengths are stretched whole or not at all."""


def rope_type(network: Any) -> str | None:
    """The type of a network's rotary embeddings; None where it has none that can be scaled."""
    text = network.config.get_text_config()
    parameters = text.to_dict().get("rope_parameters")
    if not parameters or not any("rope_type" in vars(module) for module in network.modules()):
        return None
    if "rope_type" not in parameters:
        return LAYERED
    return str(parameters["rope_type"])


def stretched_context(text: Any, tokens: int) -> int:
    """The context of a config that gives `tokens` positions; dynamic ones reach further."""
    parameters = text.to_dict().get("rope_parameters") or {}
    factor = parameters["factor"] if parameters.get("rope_type") == "dynamic" else 1
    return int(tokens * factor)


def scaled_config(handle: ModelHandle, scaling: RopeScaling, trust_remote_code: bool) -> Any:
    """The config of a handle's model with this scaling, to build its network from."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(
        handle.path, revision=handle.revision, trust_remote_code=trust_remote_code
    )
    text = config.get_text_config()
    parameters = {**text.rope_parameters, "rope_type": scaling.type, "factor": scaling.factor}
    if scaling.type in KEEPS_ORIGINAL:
        parameters["original_max_position_embeddings"] = scaling.original_tokens
    if scaling.type == "llama3":
        parameters |= BANDS
    text.rope_parameters = parameters
    if scaling.type != "dynamic":
        text.max_position_embeddings = scaling.tokens
    return config
