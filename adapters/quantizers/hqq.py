"""HQQ: base weights in 1 to 8 bits without calibration (Badri and Shaji 2023), on GPUs and CPUs.

Zero points are found by half-quadratic optimisation of each group. transformers' own wrapper packs
nothing in version 5 (its `get_quantize_ops` is missing), so the hqq package packs each layer after
it is loaded, through transformers' registry of quantizers.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

from adapters.packages import require_package
from adapters.quantizers import grouped_bytes
from domain.fingerprint import Json
from domain.hardware import Hardware
from domain.model_handle import ModelHandle
from domain.precision import PrecisionPolicy
from domain.section import options_of, section

METHOD = "hextune_hqq"
"""The name in transformers' registry, where `hqq` is taken."""
SCALE_BYTES = 4
"""A scale and a zero point in 16 bits for each group."""
STORED_BITS: Mapping[int, float] = {1: 1, 2: 2, 3: 3.2, 4: 4, 8: 8}
"""Bits in memory: ten weights of 3 bits share a word of 32."""


@section
class Options:
    """Options of quantizer hqq."""

    bits: Literal[1, 2, 3, 4, 8] = 4
    """Bits of a packed weight."""
    group_size: Literal[16, 32, 64, 128] = 64
    """Weights that share one scale and zero point."""


class Backend:
    """Implements ports.quant.QuantBackend."""

    def check(self, options: Mapping[str, Json], model: ModelHandle, hardware: Hardware) -> None:
        """Raises HextuneError where hqq is not installed."""
        require_package("hqq", extra="hqq", field="quantization.name", name="hqq")

    def bytes_per_weight(self, options: Mapping[str, Json], model: ModelHandle) -> float:
        """Packed bits plus the share of the scales: 0.5625 at 4 bits in groups of 64."""
        chosen = options_of(Options, options)
        return grouped_bytes(STORED_BITS[chosen.bits], chosen.group_size, scale_bytes=SCALE_BYTES)

    def loading(self, options: Mapping[str, Json], precision: PrecisionPolicy) -> Any:
        """A quantization config of our own that packs with the hqq package."""
        chosen = options_of(Options, options)
        return _config_class()(
            bits=chosen.bits, group_size=chosen.group_size, compute=precision.compute
        )


@cache
def _config_class() -> type:
    """The config class, which transformers' registry knows once it is made."""
    import torch
    from transformers.quantizers.auto import register_quantization_config, register_quantizer
    from transformers.quantizers.base import HfQuantizer
    from transformers.utils.quantization_config import QuantizationConfigMixin

    @register_quantization_config(METHOD)
    class PackByHqq(QuantizationConfigMixin):  # type: ignore[misc]
        """What to pack to."""

        def __init__(self, *, bits: int, group_size: int, compute: str) -> None:
            self.quant_method = METHOD
            self.bits, self.group_size, self.compute = bits, group_size, compute

    @register_quantizer(METHOD)
    class HqqPacker(HfQuantizer):  # type: ignore[misc]
        """Packs every linear layer but the output head when the weights are there."""

        requires_calibration = False
        is_trainable = True

        def is_serializable(self) -> bool:
            """Adapters over it are saved, never the packed base."""
            return False

        def _process_model_after_weight_loading(self, model: Any, **settings: Any) -> None:
            asked, head = self.quantization_config, model.get_output_embeddings()
            found = list(model.named_modules())
            for path, module in found:
                if isinstance(module, torch.nn.Linear) and module is not head:
                    model.set_submodule(path, _packed(module, asked))

    return PackByHqq


def _packed(module: Any, asked: Any) -> Any:
    """A linear layer, packed on the GPU where there is one: packed layers do not move."""
    import torch
    from hqq.core.quantize import BaseQuantizeConfig, HQQLinear

    return HQQLinear(
        module,
        BaseQuantizeConfig(nbits=asked.bits, group_size=asked.group_size, axis=1),
        compute_dtype=getattr(torch, asked.compute),
        device="cuda" if torch.cuda.is_available() else "cpu",
    )
