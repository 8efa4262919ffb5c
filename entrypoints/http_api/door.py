"""What every route needs: the engine once it is there, use cases, texts, and the clock."""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.errors import fail
from domain.sampling import ServedModel
from entrypoints.container import Container
from entrypoints.services.serve_adapters import ServeAdapters
from ports.meter import Meter
from ports.surroundings import Surroundings
from ports.texts import Translator


@dataclass(slots=True)
class EngineSlot:
    """The place of an engine that may still be loading."""

    engine: ServeAdapters | None = None

    def served(self) -> Sequence[ServedModel]:
        """What it answers as; nothing while it is loading."""
        return () if self.engine is None else self.engine.models()

    def ready(self) -> ServeAdapters:
        """The engine. Raises HextuneError while it is loading."""
        if self.engine is None:
            raise fail("model-loading")
        return self.engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One HTTP door."""

    slot: EngineSlot
    translator: Translator
    surroundings: Surroundings
    container: Container
    meter: Meter
    file_bytes: int
    """Largest file that may be sent, in bytes."""
