"""Mixtures of experts in transformers' models: how many there are, and the router's loss.

The loss is that of Switch Transformers (Fedus et al. 2021, equations 4 to 6): experts times the
sum over experts of their share of tokens times their mean probability. TRL computes it from the
router's logits and the config's `num_experts`.
"""

import inspect
from collections.abc import Collection
from typing import Any

NAMES = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
"""What configs call the experts of a layer."""


def expert_count(text: Any) -> int:
    """Experts of a layer that a router chooses among; 0 for a dense model."""
    values = text.to_dict()
    return next((int(values[name]) for name in NAMES if values.get(name)), 0)


def gives_router_loss(network: Any) -> bool:
    """Whether the network returns its router's logits and TRL can count its experts."""
    text = network.config.get_text_config()
    countable = "num_experts" in {*text.to_dict(), *text.attribute_map}
    returns = "output_router_logits" in inspect.signature(network.forward).parameters
    return bool(returns and countable and expert_count(text))


def taken_for_experts(network: Any, names: Collection[str]) -> frozenset[str]:
    """Of the names of linear layers, those that PEFT's LoRA takes for the experts' fused weights.

    It does so for types whose experts were linear layers of such names once, although their shared
    expert or first layers still have such ones; a saved adapter is read the same way.
    """
    from peft import LoraConfig
    from peft.utils.transformers_weight_conversion import convert_peft_config_for_transformers

    config = LoraConfig(target_modules=sorted(names))
    convert_peft_config_for_transformers(config, network, None)
    return frozenset(names) - frozenset(config.target_modules)
