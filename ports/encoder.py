"""Encoding: conversations and documents become token ids and labels."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from domain.conversation import Conversation
from domain.errors import HextuneError
from domain.masking import EncodedRow, TrainOn
from domain.media import MediaConversation, MediaLoading


class ConversationEncoder(Protocol):
    """A model's tokenizer and chat template."""

    @property
    def template_fingerprint(self) -> str:
        """SHA-256 of the template text."""

    @property
    def tokenizer_fingerprint(self) -> str:
        """SHA-256 of the tokenizer's definition."""

    def encode_all(
        self, conversations: Sequence[Conversation], train_on: TrainOn
    ) -> Sequence[EncodedRow | HextuneError]:
        """Token ids and labels of each, or why the template cannot render it."""

    def encode_prompts(
        self, conversations: Sequence[Conversation]
    ) -> Sequence[EncodedRow | HextuneError]:
        """Token ids of each with the opening of an answer, nothing trained."""

    def encode_texts(self, texts: Sequence[str]) -> Sequence[EncodedRow]:
        """Documents with their end token, all of it trained."""

    def agrees(self, conversation: Conversation) -> bool | None:
        """Whether ours are the tokenizer's own ids for it; None where it has no template."""

    def pieces(self, row: EncodedRow) -> Sequence[str]:
        """The text of each token."""


@runtime_checkable
class MediaEncoder(ConversationEncoder, Protocol):
    """A multimodal model's processor beside its tokenizer."""

    def encode_media(
        self, rows: Sequence[MediaConversation], train_on: TrainOn, loading: MediaLoading
    ) -> Sequence[EncodedRow | HextuneError]:
        """Token ids and labels of each, or why it cannot be encoded; media carry no loss."""
