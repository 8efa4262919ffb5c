"""Linear layers that multiply in 8-bit floats while training, through torchao."""

from typing import Any

MULTIPLE = 16
"""Widths the hardware's products of 8-bit floats must be a multiple of."""


def in_float8(network: Any, *, emulate: bool = False) -> None:
    """Swap the linear layers of the body; the output head keeps its precision.

    With `emulate` the products are rounded likewise and computed in the layers' own dtype, which
    shows on any device what the format does to a loss.
    """
    from torchao.float8 import Float8LinearConfig, convert_to_float8_training

    head = network.get_output_embeddings()

    def fits(module: Any, name: str) -> bool:
        wide = module.in_features % MULTIPLE == module.out_features % MULTIPLE == 0
        return module is not head and wide

    config = Float8LinearConfig(emulate=emulate)
    convert_to_float8_training(network, module_filter_fn=fits, config=config)
