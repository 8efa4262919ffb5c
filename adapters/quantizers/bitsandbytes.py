"""bitsandbytes: base weights in 4 or 8 bits (Dettmers et al. 2022 and 2023), on GPUs and CPUs."""

from collections.abc import Mapping
from typing import Any, Literal

from adapters.packages import require_package
from domain.fingerprint import Json
from domain.precision import PrecisionPolicy
from domain.section import options_of, section

BLOCK = 64
"""Weights that share one scale."""
DOUBLE_BLOCK = 256
"""Scales that share one second-level scale."""


@section
class Options:
    """Options of quantizer bitsandbytes."""

    bits: Literal[4, 8] = 4
    """Bits of a packed weight."""
    type: Literal["nf4", "fp4"] = "nf4"
    """4 bits: normal float, made for weights, or plain float."""
    double: bool = True
    """4 bits: pack the scales too."""


class Backend:
    """Implements ports.quant.QuantBackend."""

    def check(self, options: Mapping[str, Json]) -> None:
        """Raises HextuneError where bitsandbytes is not installed."""
        name = "bitsandbytes"
        require_package(name, extra=name, field="quantization.name", name=name)

    def bytes_per_weight(self, options: Mapping[str, Json]) -> float:
        """Packed bits plus the share of the scales: 0.516 at 4 bits with double quantization."""
        chosen = options_of(Options, options)
        if chosen.bits == 8:
            return 1.0
        scale = 1 + 4 / DOUBLE_BLOCK if chosen.double else 4
        return 0.5 + scale / BLOCK

    def loading(self, options: Mapping[str, Json], precision: PrecisionPolicy) -> Any:
        """transformers' BitsAndBytesConfig."""
        import torch
        from transformers import BitsAndBytesConfig

        chosen = options_of(Options, options)
        if chosen.bits == 8:
            return BitsAndBytesConfig(load_in_8bit=True)
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type=chosen.type,
            bnb_4bit_use_double_quant=chosen.double,
            bnb_4bit_compute_dtype=getattr(torch, precision.compute),
        )
