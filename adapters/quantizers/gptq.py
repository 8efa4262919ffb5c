"""GPTQ: checkpoints packed by second-order calibration (Frantar et al. 2023), on GPUs and CPUs."""

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.packages import require_package
from adapters.quantizers import bytes_packed_by, check_bits, grouped_bytes
from domain.fingerprint import Json
from domain.hardware import Hardware
from domain.model_handle import ModelHandle
from domain.precision import PrecisionPolicy
from domain.section import section
from ports.packing import Packing

NAME = "gptq"


@section
class Options:
    """Quantizer gptq has no options: the checkpoint says how it is packed."""


def bytes_of(settings: Mapping[str, Any]) -> float:
    """Packed bits, and a 16-bit scale and a packed zero point for each group."""
    bits = int(settings["bits"])
    return grouped_bytes(bits, int(settings["group_size"]), scale_bytes=2 + bits / 8)


class Backend:
    """Implements ports.quant.QuantBackend."""

    def check(self, options: Mapping[str, Json], model: ModelHandle, hardware: Hardware) -> None:
        """Raises HextuneError for an unpacked checkpoint, and where a package is missing."""
        bytes_packed_by(NAME, model)
        _require("quantization.name")

    def bytes_per_weight(self, options: Mapping[str, Json], model: ModelHandle) -> float:
        """As the checkpoint says."""
        return bytes_packed_by(NAME, model)

    def loading(self, options: Mapping[str, Json], precision: PrecisionPolicy) -> Any:
        """transformers' GPTQConfig of kernels that learn through; the checkpoint says the rest."""
        from transformers import GPTQConfig

        return GPTQConfig(bits=4, backend="auto_trainable")


class Packer:
    """Implements ports.quant.CheckpointPacker."""

    calibrated = True

    def check(self, asked: Packing, hardware: Hardware) -> None:
        """Raises HextuneError for other bits, and where a package is missing."""
        check_bits(NAME, asked.bits, (2, 3, 4, 8))
        _require("--with")

    def settings(self, asked: Packing, texts: Sequence[str]) -> Any:
        """transformers' GPTQConfig."""
        from transformers import GPTQConfig

        return GPTQConfig(bits=asked.bits, group_size=asked.group_size, dataset=list(texts))


def _require(field: str) -> None:
    for package in ("gptqmodel", "optimum"):
        require_package(package, extra=NAME, field=field, name=NAME)
