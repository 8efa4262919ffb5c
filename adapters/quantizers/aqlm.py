"""AQLM: checkpoints of about 2 bits, sums of learned codewords (Egiazarian et al. 2024)."""

from collections.abc import Mapping
from typing import Any

from adapters.packages import require_package
from adapters.quantizers import bytes_packed_by, require_gpu
from domain.fingerprint import Json
from domain.hardware import Hardware
from domain.model_handle import ModelHandle
from domain.precision import PrecisionPolicy
from domain.section import section

NAME = "aqlm"


@section
class Options:
    """Quantizer aqlm has no options: the checkpoint says how it is packed."""


def bytes_of(settings: Mapping[str, Any]) -> float:
    """The codes of a group, shared by its weights; a row's scale and the codebooks are left out.

    They weigh little in large layers: 2 bytes a row, and 2^16 codewords of 16 bytes a layer.
    """
    codes = int(settings["num_codebooks"]) * int(settings["nbits_per_codebook"])
    group = int(settings["in_group_size"]) * int(settings["out_group_size"])
    return codes / 8 / group


class Backend:
    """Implements ports.quant.QuantBackend."""

    def check(self, options: Mapping[str, Json], model: ModelHandle, hardware: Hardware) -> None:
        """Raises HextuneError for an unpacked checkpoint, and without GPU or aqlm."""
        bytes_packed_by(NAME, model)
        require_gpu(NAME, hardware)
        require_package("aqlm", extra=NAME, field="quantization.name", name=NAME)

    def bytes_per_weight(self, options: Mapping[str, Json], model: ModelHandle) -> float:
        """As the checkpoint says."""
        return bytes_packed_by(NAME, model)

    def loading(self, options: Mapping[str, Json], precision: PrecisionPolicy) -> None:
        """The checkpoint brings its own."""
