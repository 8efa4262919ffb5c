"""EETQ: base weights in 8 bits with a scale for each output row, on NVIDIA GPUs."""

from collections.abc import Mapping
from typing import Any

from adapters.packages import require_package
from adapters.quantizers import require_gpu, rows_per_weight
from domain.fingerprint import Json
from domain.hardware import Hardware
from domain.model_handle import ModelHandle
from domain.precision import PrecisionPolicy
from domain.section import section

NAME = "eetq"
ROW_BYTES = 2
"""Bytes of a row's scale."""


@section
class Options:
    """Quantizer eetq has no options."""


class Backend:
    """Implements ports.quant.QuantBackend."""

    def check(self, options: Mapping[str, Json], model: ModelHandle, hardware: Hardware) -> None:
        """Raises HextuneError without GPU, and without the package that fetches its kernels."""
        require_gpu(NAME, hardware)
        require_package("kernels", extra=NAME, field="quantization.name", name=NAME)

    def bytes_per_weight(self, options: Mapping[str, Json], model: ModelHandle) -> float:
        """A byte, and the row's scale shared by its weights."""
        return 1 + ROW_BYTES * rows_per_weight(model)

    def loading(self, options: Mapping[str, Json], precision: PrecisionPolicy) -> Any:
        """transformers' EetqConfig."""
        from transformers import EetqConfig

        return EetqConfig("int8")
