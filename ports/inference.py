"""Inference: conversations in, pieces of text out."""

from collections.abc import Generator, Sequence
from typing import Protocol

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
