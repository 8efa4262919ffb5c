"""bitsandbytes: base weights in 4 or 8 bits (Dettmers et al. 2022 and 2023), on GPUs and CPUs."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from adapters.packages import require_package
from adapters.quantizers import check_bits, rows_per_weight
from domain.fingerprint import Json
from domain.hardware import Hardware
from domain.model_handle import ModelHandle
from domain.precision import PrecisionPolicy
from domain.section import options_of, section
from ports.packing import Packing

BLOCK = 64
"""Weights that share one scale."""
ROW_BYTES = 4
"""8 bits: bytes of a row's scale."""
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


def bytes_of(settings: Mapping[str, Any]) -> float:
    """Packed bits, and the scales of 4 bits; those of 8 bits, 4 bytes a row, are left out."""
    if not settings.get("load_in_4bit"):
        return 1.0
    return _four_bits(double=bool(settings.get("bnb_4bit_use_double_quant")))


def _four_bits(*, double: bool) -> float:
    """Half a byte plus the share of the scales: 0.516 with double quantization."""
    return 0.5 + (1 + 4 / DOUBLE_BLOCK if double else 4) / BLOCK


class Backend:
    """Implements ports.quant.QuantBackend."""

    def check(self, options: Mapping[str, Json], model: ModelHandle, hardware: Hardware) -> None:
        """Raises HextuneError where bitsandbytes is not installed."""
        name = "bitsandbytes"
        require_package(name, extra=name, field="quantization.name", name=name)

    def bytes_per_weight(self, options: Mapping[str, Json], model: ModelHandle) -> float:
        """Packed bits plus the share of the scales, which 8 bits have for each row."""
        chosen = options_of(Options, options)
        if chosen.bits == 8:
            return 1 + ROW_BYTES * rows_per_weight(model)
        return _four_bits(double=chosen.double)

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


class Packer:
    """Implements ports.quant.CheckpointPacker; its blocks have 64 weights, whatever is asked."""

    calibrated = False

    def check(self, asked: Packing, hardware: Hardware) -> None:
        """Raises HextuneError for other bits, and where bitsandbytes is not installed."""
        name = "bitsandbytes"
        check_bits(name, asked.bits, (4, 8))
        require_package(name, extra=name, field="--with", name=name)

    def settings(self, asked: Packing, texts: Sequence[str]) -> Any:
        """transformers' BitsAndBytesConfig: nf4 with double quantization, or 8 bits."""
        from transformers import BitsAndBytesConfig

        if asked.bits == 8:
            return BitsAndBytesConfig(load_in_8bit=True)
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype="bfloat16",
        )
