"""Looking at the machine."""

from collections.abc import Mapping
from typing import Protocol

from domain.hardware import Hardware


class HardwareProbe(Protocol):
    """Tells what computes here."""

    def probe(self) -> Hardware:
        """The device a run would use."""

    def versions(self) -> Mapping[str, str]:
        """Python, the operating system, and each library that takes part, with its version."""
