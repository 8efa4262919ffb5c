"""What every route needs: the engine once it is there, texts, and the clock."""

from dataclasses import dataclass

from domain.errors import fail
from ports.inference import InferenceBackend
from ports.surroundings import Surroundings
from ports.texts import Translator


@dataclass(slots=True)
class EngineSlot:
    """The place of an engine that may still be loading."""

    engine: InferenceBackend | None = None

    def ready(self) -> InferenceBackend:
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
