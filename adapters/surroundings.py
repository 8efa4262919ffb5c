"""The real clock and fresh identifiers."""

import os
import secrets
import time


class SystemSurroundings:
    """Implements ports.surroundings.Surroundings."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def token(self) -> str:
        """Six random hex digits."""
        return secrets.token_hex(3)

    def folder(self) -> str:
        """The current working folder."""
        return os.getcwd()
