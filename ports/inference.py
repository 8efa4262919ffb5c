"""Inference: conversations in, pieces of text out."""

from collections.abc import Generator, Sequence
from typing import Protocol, runtime_checkable

from domain.model_handle import ResolvedModel
from domain.sampling import GenerationRequest, ServedModel, TextDelta


class InferenceBackend(Protocol):
    """An engine that answers as one or several models."""

    def models(self) -> Sequence[ServedModel]:
        """What it answers as; the first is the default."""

    def generate(self, request: GenerationRequest) -> Generator[TextDelta]:
        """Pieces of the answer; closing the generator stops the generation.

        Raises HextuneError for an unknown model or a prompt longer than the context, before the
        first piece.
        """

    def close(self) -> None:
        """Release the model."""


@runtime_checkable
class AdapterHost(Protocol):
    """An engine that takes adapters over its base while it runs."""

    def add_model(self, model: ResolvedModel) -> None:
        """Answer as one more model, under its label.

        Raises HextuneError where its adapter does not lie over the weights loaded here.
        """

    def remove_model(self, name: str) -> None:
        """Answer as it no more; nobody may be asking it."""


@runtime_checkable
class Supervised(Protocol):
    """An engine that may be away for a while, as it is started again by itself."""

    def check(self) -> None:
        """Raises HextuneError while it cannot answer."""
