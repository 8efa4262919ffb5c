"""torchao: base weights in 8 bits, whole numbers or floats, on GPUs and CPUs.

Each output row has a scale. torchao also packs to 4 bits, over which transformers trains nothing.
"""

from collections.abc import Mapping
from typing import Any, Literal

from adapters.packages import require_package
from adapters.quantizers import rows_per_weight
from domain.fingerprint import Json
from domain.hardware import Hardware
from domain.model_handle import ModelHandle
from domain.precision import PrecisionPolicy
from domain.section import options_of, section

ROW_BYTES: Mapping[str, int] = {"int8": 5, "fp8": 4}
"""Bytes of a row's scale, and of its zero point where there is one."""


@section
class Options:
    """Options of quantizer torchao."""

    type: Literal["int8", "fp8"] = "int8"
    """Whole numbers of 8 bits, or floats of 8 bits (e4m3)."""


class Backend:
    """Implements ports.quant.QuantBackend."""

    def check(self, options: Mapping[str, Json], model: ModelHandle, hardware: Hardware) -> None:
        """Raises HextuneError where torchao is not installed."""
        require_package("torchao", extra="torchao", field="quantization.name", name="torchao")

    def bytes_per_weight(self, options: Mapping[str, Json], model: ModelHandle) -> float:
        """A byte, and the row's scale shared by its weights."""
        return 1 + ROW_BYTES[options_of(Options, options).type] * rows_per_weight(model)

    def loading(self, options: Mapping[str, Json], precision: PrecisionPolicy) -> Any:
        """transformers' TorchAoConfig."""
        from torchao.quantization import Float8WeightOnlyConfig, Int8WeightOnlyConfig
        from transformers import TorchAoConfig

        kinds = {"int8": Int8WeightOnlyConfig, "fp8": Float8WeightOnlyConfig}
        return TorchAoConfig(kinds[options_of(Options, options).type]())
