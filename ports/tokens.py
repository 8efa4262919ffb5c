"""What an engine whose model is in reach can do besides answering; a remote one cannot."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from domain.sampling import GenerationRequest


@runtime_checkable
class TextTokens(Protocol):
    """Text to token ids and back."""

    def tokenize(self, model: str, prompt: str, special: bool) -> tuple[int, ...]:
        """The ids of a text, with the tokenizer's own special tokens where `special`."""

    def tokenize_conversation(self, request: GenerationRequest) -> tuple[int, ...]:
        """The ids an answer to the request goes on from."""

    def detokenize(self, model: str, ids: Sequence[int]) -> str:
        """The text of ids."""

    def context_tokens(self, model: str) -> int:
        """The longest prompt and answer together, in tokens."""


@runtime_checkable
class Embedder(TextTokens, Protocol):
    """Texts to vectors."""

    def embed(self, model: str, ids: Sequence[int]) -> tuple[float, ...]:
        """One vector of length 1 for the tokens of a text."""
