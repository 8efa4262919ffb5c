"""Media: the images, videos and audio files that rows show or play.

Rows keep paths and what the files' headers say; pixels and samples are read when a batch is made.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Literal, TypeVar

from domain.conversation import Conversation

T = TypeVar("T")
PERCENTILES = (50, 90, 100)


class MediaKind(StrEnum):
    """What a file shows or plays; the values are the placeholders' names."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"

    @property
    def placeholder(self) -> str:
        """What stands for one file in a row's text."""
        return f"<{self.value}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFile:
    """One file, and what its header says."""

    kind: MediaKind
    """What it is."""
    path: str
    """Where it is, from the working folder."""
    width: int = 0
    """Pixels of an image or of a video's frames."""
    height: int = 0
    """Pixels of an image or of a video's frames."""
    frames: int = 0
    """Pictures of a video."""
    seconds: float = 0.0
    """Length of audio or a video; 0 where a video does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaLoading:
    """How files become what a processor takes."""

    image_max_pixels: int | None = None
    """Larger images and frames are scaled down to so many pixels."""
    video_frames: int = 8
    """Frames taken of a video, evenly spaced."""
    video_as: Literal["video", "images"] = "video"
    """Whether a video goes to the model's video processor, or its frames are images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaConversation:
    """A conversation whose texts hold a placeholder for each of its files."""

    conversation: Conversation
    """The turns."""
    files: tuple[MediaFile, ...]
    """Images, then videos, then audio files, each kind in the order of its placeholders."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownMedia:
    """What an encoded row needs in order to make its pixels and samples again."""

    text: str
    """The conversation as the chat template renders it, one placeholder of the model per file."""
    files: tuple[MediaFile, ...]
    """The files, in the order of their placeholders."""
    loading: MediaLoading
    """How they were read when the row was encoded."""
    tokens: Mapping[str, int]
    """Kind of file to the tokens that stand for all files of that kind."""

    def tokens_of_one(self, kind: MediaKind) -> int:
        """Tokens of one file of a kind: the row's, shared evenly."""
        files = sum(file.kind is kind for file in self.files)
        return round(self.tokens.get(kind.value, 0) / files)

    def as_text(self) -> str:
        """The value as JSON text, for a column of a dataset."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_text(cls, text: str) -> "ShownMedia":
        """The value of `as_text`."""
        values = json.loads(text)
        files = [MediaFile(**{**file, "kind": MediaKind(file["kind"])}) for file in values["files"]]
        return cls(
            text=values["text"],
            files=tuple(files),
            loading=MediaLoading(**values["loading"]),
            tokens=values["tokens"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaAccount:
    """All files of one kind in a report, each as often as rows name it."""

    files: int
    """How many there are."""
    sizes: Sequence[str]
    """Smallest, median and largest picture as WIDTHxHEIGHT; empty for audio."""
    seconds: Sequence[float]
    """Shortest, median and longest; empty for images."""
    tokens: Mapping[str, int]
    """Tokens of one file that so many percent do not exceed; a row's tokens are shared evenly
    among its files of a kind."""


def account(files: Sequence[MediaFile], tokens: Sequence[int]) -> MediaAccount:
    """The account of files of one kind; `tokens` of those whose rows could be encoded."""
    areas = sorted((file.width * file.height, f"{file.width}x{file.height}") for file in files)
    lengths = sorted(round(file.seconds, 2) for file in files if file.seconds)
    ordered = sorted(tokens)
    return MediaAccount(
        files=len(files),
        sizes=[shown for _, shown in _three(areas)] if areas and areas[-1][0] else [],
        seconds=_three(lengths),
        tokens={f"p{p}": ordered[-(-len(ordered) * p // 100) - 1] for p in PERCENTILES if ordered},
    )


def _three(ordered: list[T]) -> list[T]:
    """Smallest, median and largest of sorted values."""
    return [ordered[0], ordered[(len(ordered) - 1) // 2], ordered[-1]] if ordered else []
