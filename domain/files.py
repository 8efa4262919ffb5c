"""Uploaded files and uploads in parts, as OpenAI's Files and Uploads APIs know them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Purpose = Literal["fine-tune", "batch", "user_data"]
"""What a file may be uploaded for."""

RESULTS = "fine-tune-results"
"""Purpose of the files that fine-tuning jobs make."""

LIMIT_BYTES = 512 * 1024**2
"""Largest file, where nothing else is said: OpenAI's own limit for files to train on."""

PENDING_S = 3600
"""How long an upload waits for its parts, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file on record."""

    id: str
    """file- and hexadecimal digits; never a path."""
    filename: str
    """The name it was sent under; for people only."""
    purpose: str
    """What it is for."""
    created_at: float
    """When it was stored, in seconds since the epoch."""
    expires_at: float | None = None
    """When it goes by itself, in seconds since the epoch; never where not set."""
    size_bytes: int = 0
    """Bytes of its content."""
    sha256: str = ""
    """SHA-256 of its content: 64 hexadecimal digits."""


class UploadStatus(StrEnum):
    """Where an upload in parts is."""

    PENDING = "pending"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file that comes in parts."""

    id: str
    """upload_ and hexadecimal digits."""
    filename: str
    """The name the file will have."""
    purpose: str
    """What the file will be for."""
    size_bytes: int
    """Bytes announced."""
    created_at: float
    """When it was begun, in seconds since the epoch."""
    lasts_s: int | None = None
    """How long the file is kept, in seconds; for ever where not set."""
    status: UploadStatus = UploadStatus.PENDING
    """Where it is."""
    file_id: str | None = None
    """The file it became."""

    @property
    def expires_at(self) -> float:
        """When it stops waiting for parts."""
        return self.created_at + PENDING_S


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadPart:
    """A part of an upload."""

    id: str
    """part_ and hexadecimal digits."""
    upload_id: str
    """The upload it is a part of."""
    created_at: float
    """When it was stored, in seconds since the epoch."""
