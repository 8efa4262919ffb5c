"""Which attention kernels a network's layers can call, and what transformers calls them."""

from typing import Any

from adapters.models.s2_attention import register_s2

TRANSFORMERS = {"auto": None, "flex": "flex_attention"}
"""transformers' names, where they are not ours; None leaves the choice to it."""


def implementation(attention: str, group_tokens: int | None = None) -> str | None:
    """transformers' name of a kernel."""
    if attention == "s2":
        return register_s2(group_tokens)
    return TRANSFORMERS.get(attention, attention)


def kernels_of(network: Any) -> tuple[str, ...]:
    """Our names of the kernels a network of any device can be given."""
    found = ["eager"]
    for name in ("sdpa", "flex"):
        try:
            network.get_correct_attn_implementation(implementation(name))
        except ValueError:  # transformers' way to say no
            continue
        found.append(name)
    if network._supports_flash_attn:  # asking for it would look for the package, too
        found += ["flash_attention_2", "flash_attention_3"]
    if "sdpa" in found and network.is_backend_compatible():
        found.append("s2")
    return tuple(found)
