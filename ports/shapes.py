"""What planning asks of models and trainers: shapes alone, which may be those of models to come."""

from typing import Protocol

from domain.model_handle import ModelHandle
from domain.run_plan import TrainerFacts
from domain.run_spec import ModelSection, RunSpec
from ports.encoder import ConversationEncoder


class ModelShapes(Protocol):
    """Models looked at without weights; every ModelBackend is one."""

    def inspect(self, model: ModelSection) -> ModelHandle:
        """Shape and identity. Raises HextuneError where there is no such model."""

    def encoder(self, handle: ModelHandle) -> ConversationEncoder:
        """The model's encoder, with the handle's template."""


class TrainingShapes(Protocol):
    """What training would do to a model; every TrainerBackend is one."""

    def facts(self, spec: RunSpec, model: ModelHandle) -> TrainerFacts:
        """What would be trained. Raises HextuneError for what the model cannot have."""
