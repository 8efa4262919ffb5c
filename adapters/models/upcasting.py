"""Norms and logits in float32 within a network of 16 bits, through dtypes and forward hooks.

A norm's statistics are sums over the width, in which 16-bit rounding adds up; transformers' own
RMS norms round their result before the weight multiplies it. What a norm gives goes on in the dtype
it came in, which the layer behind it takes.
"""

from typing import Any

from domain.precision import PrecisionSection


def upcast(network: Any, asked: PrecisionSection) -> frozenset[int]:
    """Do what was asked of a network; ids of the parameters that stay float32 from now on."""
    import torch

    if asked.upcast_logits:
        network.get_output_embeddings().register_forward_hook(_logits)
    if not asked.upcast_norms:
        return frozenset()
    norms = [module for module in network.modules() if "Norm" in type(module).__name__]
    for norm in norms:
        norm.to(torch.float32)
        _compute_in_float32(norm)
    return frozenset(id(weight) for norm in norms for weight in norm.parameters())


def _compute_in_float32(norm: Any) -> None:
    came: dict[str, Any] = {}

    def before(module: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        states, *rest = inputs
        came["dtype"] = states.dtype
        return (states.float(), *rest)

    def after(module: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        return output.to(came["dtype"])

    norm.register_forward_pre_hook(before)
    norm.register_forward_hook(after)


def _logits(module: Any, inputs: tuple[Any, ...], output: Any) -> Any:
    return output.float()
