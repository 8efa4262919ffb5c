"""Quantizers: packing frozen weights while an adapter trains."""

from collections.abc import Mapping
from typing import Protocol

from domain.fingerprint import Json
from domain.hardware import Hardware
from domain.model_handle import ModelHandle
from domain.precision import PrecisionPolicy

Options = Mapping[str, Json]


class QuantBackend(Protocol):
    """Packs weights with one library."""

    def check(self, options: Options, model: ModelHandle, hardware: Hardware) -> None:
        """Raises HextuneError where the library, the machine or the checkpoint is not fit."""

    def bytes_per_weight(self, options: Options, model: ModelHandle) -> float:
        """Bytes of one packed weight, its scales included."""

    def loading(self, options: Options, precision: PrecisionPolicy) -> object | None:
        """What a ModelBackend takes to pack weights as it loads them; None for packed ones."""
