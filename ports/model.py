"""Models: looked at without weights, loaded with them, merged and compared."""

from dataclasses import dataclass
from typing import Protocol

from domain.model_handle import ModelHandle
from domain.precision import PrecisionPolicy
from domain.run_spec import ModelSection
from ports.encoder import ConversationEncoder
from ports.packing import PackReport


class LoadedModel(Protocol):
    """A model in memory; what it is made of is its backend's affair."""

    @property
    def handle(self) -> ModelHandle:
        """What was loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeReport:
    """How far a merged, re-read model is from base plus adapter, on fixed prompts."""

    max_difference: float
    """Largest absolute difference of a logit."""
    mean_kl: float
    """Mean KL divergence of the next-token distributions, in nats."""
    tokens: int
    """Positions compared."""
    dtype: str
    """Dtype the merged weights are stored in."""
    folder: str
    """Where they are."""


class ModelBackend(Protocol):
    """Loads models of one library."""

    def inspect(self, model: ModelSection) -> ModelHandle:
        """Shape and identity, without weights. Raises HextuneError where there is no such model."""

    def encoder(self, handle: ModelHandle) -> ConversationEncoder:
        """The model's encoder, with the handle's template. No weights are read."""

    def load(
        self, model: ModelSection, precision: PrecisionPolicy, quantization: object | None
    ) -> LoadedModel:
        """The model in memory; `quantization` is what a QuantBackend's `loading` gave."""

    def merge(self, handle: ModelHandle, target: str, dtype: str) -> MergeReport:
        """Write the model with its adapters merged into `target`, re-read it and compare."""

    def pack(self, handle: ModelHandle, target: str, settings: object) -> PackReport:
        """Write the model, adapters merged, packed by a CheckpointPacker's `settings`; compare."""
