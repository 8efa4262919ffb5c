"""Files to a network's inputs by a processor: for one row while encoding, for a batch in training.

Shapes: B rows, T tokens of the longest row. What a processor adds for media has shapes of its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from adapters import media_files
from adapters.models.processors import audio_part
from domain.errors import fail
from domain.masking import IGNORED
from domain.media import MediaFile, MediaKind, MediaLoading, ShownMedia

TOKEN_KINDS = frozenset({"token_type_ids", "mm_token_type_ids"})
"""Inputs of shape (B, T) that say what each token is; 0 is text."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A row's files in memory, each kind in the order of its placeholders."""

    images: list[Any] = field(default_factory=list)
    videos: list[media_files.Clip] = field(default_factory=list)
    audios: list[Any] = field(default_factory=list)

    def first(self, turns: Sequence[dict[str, Any]]) -> "Loaded":
        """The files that the content parts of these turns show or play."""
        parts = [part["type"] for turn in turns for part in turn["content"]]
        return Loaded(
            self.images[: parts.count("image")],
            self.videos[: parts.count("video")],
            self.audios[: parts.count("audio")],
        )


def load_files(processor: Any, files: Sequence[MediaFile], loading: MediaLoading) -> Loaded:
    """Read the files. Raises HextuneError for one that breaks off or is gone."""
    loaded = Loaded()
    for file in files:
        if file.kind is MediaKind.IMAGE:
            loaded.images.append(media_files.image(file, loading))
        elif file.kind is MediaKind.AUDIO:
            rate_hz = audio_part(processor).sampling_rate
            loaded.audios.append(media_files.samples(file, rate_hz))
        elif loading.video_as == "images":
            loaded.images.extend(media_files.clip(file, loading).frames)
        else:
            loaded.videos.append(media_files.clip(file, loading))
    return loaded


def model_inputs(processor: Any, texts: Sequence[str], rows: Sequence[Loaded]) -> Any:
    """The processor's inputs for rendered texts: tensors, padded on the right.

    Special tokens are added unless the template writes them, as the processor's own
    `apply_chat_template` does it. Raises HextuneError where the processor refuses.
    """
    tokenizer = processor.tokenizer
    bos = tokenizer.bos_token
    try:
        return processor(
            text=list(texts),
            **_files(processor, rows),
            add_special_tokens=bos is None or not texts[0].startswith(bos),
            padding=True,
            padding_side="right",
            return_tensors="pt",
        )
    except (ValueError, TypeError, IndexError) as error:
        reason = str(error).strip().partition("\n")[0] or repr(error)
        raise fail("data-media-refused", reason=reason) from None


def check_lengths(processor: Any, files: Sequence[MediaFile], inputs: Any) -> None:
    """Raises HextuneError for audio that a processor has cut: one window each, and longer than it.

    Processors that take longer audio make several windows of it.
    """
    audios = [file for file in files if file.kind is MediaKind.AUDIO]
    if not audios or len(inputs.get("input_features", ())) != len(audios):
        return
    window_s = audio_part(processor).to_dict().get("chunk_length")
    for file in audios:
        if window_s and file.seconds > window_s:
            seconds = round(file.seconds, 1)
            raise fail("data-audio-too-long", path=file.path, seconds=seconds, limit=window_s)


def _files(processor: Any, rows: Sequence[Loaded]) -> dict[str, Any]:
    """Keyword arguments of a processor for all files of a batch."""
    import numpy as np

    found: dict[str, Any] = {}
    if any(row.images for row in rows):
        found["images"] = [row.images for row in rows]
    clips = [clip for row in rows for clip in row.videos]
    if clips:
        found["videos"] = [np.stack([np.asarray(frame) for frame in c.frames]) for c in clips]
        found["do_sample_frames"] = False
        found["video_metadata"] = [
            {
                "total_num_frames": clip.total,
                "fps": clip.frames_per_s,
                "frames_indices": list(clip.numbers),
                "duration": clip.total / clip.frames_per_s,
            }
            for clip in clips
        ]
    audios = [audio for row in rows for audio in row.audios]
    if audios:
        found["audio"] = audios
        found["sampling_rate"] = audio_part(processor).sampling_rate
    return found


@dataclass(frozen=True, slots=True)
class MediaCollator:
    """Batches of rows with and without media; pixels and samples are made here."""

    processor: Any

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """input_ids_BT, attention_mask_BT, labels_BT, and what the processor adds for media."""
        import torch
        from torch.nn.utils.rnn import pad_sequence

        def padded(sequences: Iterator[Any], value: int) -> Any:
            tensors = [torch.as_tensor(each) for each in sequences]
            return pad_sequence(tensors, batch_first=True, padding_value=value)

        padding = self.processor.tokenizer.pad_token_id
        batch = {
            "input_ids": padded((row["input_ids"] for row in rows), padding),
            "attention_mask": padded(([1] * len(row["input_ids"]) for row in rows), 0),
            "labels": padded((row["labels"] for row in rows), IGNORED),
        }
        numbers = [number for number, row in enumerate(rows) if row["media"]]
        if numbers:
            self._add_media(batch, rows, numbers)
        return batch

    def _add_media(
        self, batch: dict[str, Any], rows: Sequence[dict[str, Any]], numbers: Sequence[int]
    ) -> None:
        """Raises HextuneError where a file has changed since its row was encoded."""
        shown = [ShownMedia.from_text(rows[number]["media"]) for number in numbers]
        loaded = [load_files(self.processor, each.files, each.loading) for each in shown]
        inputs = dict(model_inputs(self.processor, [each.text for each in shown], loaded))
        ids_MT, mask_MT = inputs.pop("input_ids"), inputs.pop("attention_mask")
        for number, each, ids_T, mask_T in zip(numbers, shown, ids_MT, mask_MT, strict=True):
            if ids_T[mask_T.bool()].tolist() != list(rows[number]["input_ids"]):
                paths = ", ".join(file.path for file in each.files)
                raise fail("run-media-changed", paths=paths)
        for name, value in inputs.items():
            if name in TOKEN_KINDS:
                kinds_BT = batch["input_ids"].new_zeros(batch["input_ids"].shape)
                kinds_BT[list(numbers), : value.shape[1]] = value
                batch[name] = kinds_BT
            else:
                batch[name] = value
