"""What packed weights need before adapters learn over them.

bitsandbytes lays 4-bit weights out anew when it first evaluates on a CPU that multiplies bfloat16
(AVX-512), for a kernel without a backward pass: from then on nothing below a layer would get its
gradient, and what PEFT reads of the weights would be wrong. So they keep the layout they came in.

transformers maps a checkpoint's file and packs weight after weight. The few weights left unpacked
hold on to the whole mapping, and glibc keeps the 16-bit weights that were dropped until
malloc_trim(3): for SmolLM2-135M in 4 bits 550 MB beside the 104 MB that its weights take.
"""

import ctypes
import gc
import platform
from typing import Any


def make_ready(network: Any) -> None:
    """Keep the layout of packed weights, and of the memory they were made in only theirs."""
    _keep_layout(network)
    for weight in network.parameters():
        if weight.device.type == "cpu" and weight.is_floating_point():
            weight.data = weight.data.clone()
    gc.collect()
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def _keep_layout(network: Any) -> None:
    if network.quantization_method != "bitsandbytes":
        return
    from bitsandbytes.nn import Linear4bit

    for module in network.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False
