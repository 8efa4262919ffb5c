"""AWQ: checkpoints packed with activation-aware scales (Lin et al. 2023), on NVIDIA GPUs."""

from collections.abc import Mapping
from typing import Any

from adapters.packages import require_package
from adapters.quantizers import bytes_packed_by, grouped_bytes, require_gpu
from domain.fingerprint import Json
from domain.hardware import Hardware
from domain.model_handle import ModelHandle
from domain.precision import PrecisionPolicy
from domain.section import section

NAME = "awq"


@section
class Options:
    """Quantizer awq has no options: the checkpoint says how it is packed."""


def bytes_of(settings: Mapping[str, Any]) -> float:
    """Packed bits, and a 16-bit scale and a packed zero point for each group."""
    bits = int(settings["bits"])
    return grouped_bytes(bits, int(settings["group_size"]), scale_bytes=2 + bits / 8)


class Backend:
    """Implements ports.quant.QuantBackend."""

    def check(self, options: Mapping[str, Json], model: ModelHandle, hardware: Hardware) -> None:
        """Raises HextuneError for an unpacked checkpoint, and without GPU or gptqmodel."""
        bytes_packed_by(NAME, model)
        require_gpu(NAME, hardware)
        require_package("gptqmodel", extra=NAME, field="quantization.name", name=NAME)

    def bytes_per_weight(self, options: Mapping[str, Json], model: ModelHandle) -> float:
        """As the checkpoint says."""
        return bytes_packed_by(NAME, model)

    def loading(self, options: Mapping[str, Json], precision: PrecisionPolicy) -> None:
        """The checkpoint brings its own."""
