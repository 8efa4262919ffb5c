"""Encoding rows with media in a test: conversations, files, and what becomes of them."""

from collections.abc import Sequence
from typing import Any

import pytest

from adapters.catalog import FolderCatalog
from adapters.models.hf import HfModelBackend
from adapters.models.multimodal import MultimodalEncoder
from domain.conversation import Conversation, Message, Role
from domain.errors import HextuneError
from domain.masking import IGNORED, EncodedRow, TrainOn
from domain.media import MediaConversation, MediaFile, MediaLoading
from domain.model_handle import ModelHandle

KINDS = {"llava": "image", "qwen2_vl": "image", "qwen2_audio": "audio"}
"""Family to the kind of file it is tried with."""
ANSWERS = ("It is red.", "Blue, I say.")


def known(facts: MediaFile | str) -> MediaFile:
    assert isinstance(facts, MediaFile), facts
    return facts


def encoder_of(handle: ModelHandle) -> MultimodalEncoder:
    encoder = HfModelBackend(FolderCatalog()).encoder(handle)
    assert isinstance(encoder, MultimodalEncoder)
    return encoder


def talk(*contents: str) -> Conversation:
    roles = (Role.USER, Role.ASSISTANT)
    return Conversation(tuple(Message(roles[n % 2], text) for n, text in enumerate(contents)))


def encode(
    encoder: MultimodalEncoder,
    conversation: Conversation,
    files: Sequence[MediaFile],
    train_on: TrainOn = TrainOn.ASSISTANT_TURNS,
    **loading: Any,
) -> EncodedRow:
    row = MediaConversation(conversation=conversation, files=tuple(files))
    (found,) = encoder.encode_media([row], train_on, MediaLoading(**loading))
    if isinstance(found, HextuneError):
        raise found
    return found


def refusal(*asked: Any, **loading: Any) -> tuple[str, str]:
    with pytest.raises(HextuneError) as raised:
        encode(*asked, **loading)
    return raised.value.problems[0].code, raised.value.problems[0].message


def trained(encoder: MultimodalEncoder, row: EncodedRow) -> str:
    pieces = encoder.pieces(row)
    return "".join(p for p, label in zip(pieces, row.labels, strict=True) if label != IGNORED)
