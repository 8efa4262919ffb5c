"""Quantizers: packing frozen weights while an adapter trains."""

from collections.abc import Mapping
from typing import Protocol

from domain.fingerprint import Json
from domain.precision import PrecisionPolicy

Options = Mapping[str, Json]


class QuantBackend(Protocol):
    """Packs weights with one library."""

    def check(self, options: Options) -> None:
        """Raises HextuneError where the library is missing or too old for this."""

    def bytes_per_weight(self, options: Options) -> float:
        """Bytes of one packed weight, its scales included."""

    def loading(self, options: Options, precision: PrecisionPolicy) -> object:
        """What a ModelBackend takes to pack weights as it loads them."""
