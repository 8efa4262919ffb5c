"""Batches of rows with and without media, and the ways of a video."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from adapters.media_files import probe
from adapters.models.hf import load_network, processor_of
from adapters.models.media_inputs import MediaCollator
from adapters.models.multimodal import MultimodalEncoder
from adapters.models.processors import load_processor, without_videos
from domain.masking import EncodedRow, TrainOn
from domain.media import MediaFile, MediaKind
from domain.model_handle import ModelHandle
from tests.adapters.showing import ANSWERS, KINDS, encode, encoder_of, known, refusal, talk
from tests.fixtures.tiny_multimodal import FAMILIES, QWEN2_VL, picture, sound


def loaded(handle: ModelHandle) -> Any:
    return load_network(handle, dtype="float32").eval()


def batch_of(handle: ModelHandle, rows: Sequence[EncodedRow]) -> Any:
    return MediaCollator(load_processor(handle.path, None))(
        [
            {
                "input_ids": list(row.input_ids),
                "labels": list(row.labels),
                "media": row.media.as_text() if row.media else "",
            }
            for row in rows
        ]
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_with_and_without_media_share_a_batch_and_are_as_if_alone(
    media_models: dict[str, ModelHandle], media_files: dict[str, list[MediaFile]], family: str
) -> None:
    import torch

    handle, kind = media_models[family], KINDS[family]
    encoder, network = encoder_of(handle), loaded(handle)
    rows = [
        encode(encoder, talk(f"<{kind}>What?", ANSWERS[0]), media_files[kind][:1]),
        *(row for row in encoder.encode_all([talk("Hi", "Ho")], TrainOn.ASSISTANT_TURNS)
          if isinstance(row, EncodedRow)),
        encode(encoder, talk(f"<{kind}> or <{kind}>", ANSWERS[1]), media_files[kind]),
    ]  # fmt: skip
    with torch.inference_mode():
        logits_BTV = network(**batch_of(handle, rows)).logits
        for number, row in enumerate(rows):
            alone_TV = network(**batch_of(handle, [row])).logits[0]
            together_TV = logits_BTV[number, : len(row.input_ids)]
            assert torch.allclose(alone_TV, together_TV, atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_file_shows_reaches_the_network(
    media_models: dict[str, ModelHandle], media_files: dict[str, list[MediaFile]], family: str
) -> None:
    import torch

    handle, kind = media_models[family], KINDS[family]
    encoder, network = encoder_of(handle), loaded(handle)
    file = media_files[kind][0]
    row = encode(encoder, talk(f"<{kind}>What?", ANSWERS[0]), [file])
    with torch.inference_mode():
        first = network(**batch_of(handle, [row])).logits
        if kind == "image":
            picture(Path(file.path), "yellow")
        else:
            sound(Path(file.path), pitch_hz=1500)
        second = network(**batch_of(handle, [row])).logits
    assert (first - second).abs().max() > 1e-3


def video(folder: Path, frames: int = 6) -> MediaFile:
    for number in range(frames):
        picture(folder / f"{number}.png", f"rgb({number * 40}, 0, 0)")
    return known(probe(str(folder), MediaKind.VIDEO))


def test_frames_stand_for_a_video_where_that_is_asked_for(
    media_models: dict[str, ModelHandle], tmp_path: Path
) -> None:
    encoder, file = encoder_of(media_models["qwen2_vl"]), video(tmp_path / "clip")
    row = encode(encoder, talk("<video>?", ANSWERS[0]), [file], video_as="images", video_frames=3)
    assert row.media is not None
    assert row.media.tokens == {"video": 18}  # three pictures of six tokens each
    assert "".join(encoder.pieces(row)).count("<|vision_start|>") == 3
    shown = encode(encoder_of(media_models["llava"]), talk("<video>?", ANSWERS[0]), [file],
                   video_as="images", video_frames=2)  # fmt: skip
    assert shown.media is not None
    assert shown.media.tokens == {"video": 32}


def test_frames_and_images_keep_the_order_of_their_placeholders(
    media_models: dict[str, ModelHandle], media_files: dict[str, list[MediaFile]], tmp_path: Path
) -> None:
    """The larger image takes more tokens: it must come where its placeholder stands."""
    encoder, large = encoder_of(media_models["qwen2_vl"]), media_files["image"][1]
    shown = [large, video(tmp_path / "clip")]
    counts = []
    for text in ("<image>;<video>", "<video>;<image>"):
        row = encode(encoder, talk(text, ANSWERS[0]), shown, video_as="images", video_frames=1)
        before, _, after = "".join(encoder.pieces(row)).partition(";")
        counts.append((before.count("<|image_pad|>"), after.count("<|image_pad|>")))
        assert len(batch_of(media_models["qwen2_vl"], [row])["image_grid_thw"]) == 2
    assert counts == [(15, 6), (6, 15)]


def test_without_torchvision_a_video_processor_is_asked_for_by_name(
    media_models: dict[str, ModelHandle], tmp_path: Path
) -> None:
    file = video(tmp_path / "clip")
    asked = talk("<video>?", ANSWERS[0]), [file]
    assert refusal(encoder_of(media_models["qwen2_vl"]), *asked)[0] == "data-video-processor"
    assert refusal(encoder_of(media_models["llava"]), *asked)[0] == "data-media-kind"


def test_a_video_goes_to_the_video_processor_with_its_frames_and_times(
    media_models: dict[str, ModelHandle], tmp_path: Path
) -> None:
    import torch
    from transformers.video_processing_utils import VideoProcessorMixin

    seen: list[dict[str, Any]] = []

    class Videos(VideoProcessorMixin):  # type: ignore[misc]
        merge_size = 2

        def preprocess(self, videos: Sequence[Any], **asked: Any) -> dict[str, Any]:
            seen.append(asked | {"shapes": [video.shape for video in videos]})
            grids = [[len(v) // 2, v.shape[1] // 4, v.shape[2] // 4] for v in videos]
            patches = sum(t * h * w for t, h, w in grids)
            return {
                "pixel_values_videos": torch.zeros(patches, 96),
                "video_grid_thw": torch.tensor(grids),
            }

    own = load_processor(media_models["qwen2_vl"].path, None)
    processor = without_videos(type(own).__mro__[1])(
        image_processor=own.image_processor,
        tokenizer=own.tokenizer,
        video_processor=Videos(),
        chat_template=QWEN2_VL,
    )
    encoder = MultimodalEncoder(processor, (MediaKind.IMAGE, MediaKind.VIDEO), own_template=True)
    asked = talk("<video>?", ANSWERS[0]), [video(tmp_path / "clip")]
    row = encode(encoder, *asked, video_frames=4)
    assert row.media is not None
    assert row.media.tokens == {"video": 2 * 2 * 3}
    assert seen[0]["shapes"] == [(4, 16, 24, 3)]
    assert seen[0]["do_sample_frames"] is False
    assert seen[0]["video_metadata"][0]["frames_indices"] == [0, 2, 3, 5]


def test_settings_of_a_video_processor_that_cannot_run_are_kept(
    media_models: dict[str, ModelHandle], tmp_path: Path
) -> None:
    processor_of(media_models["qwen2_vl"]).save_pretrained(tmp_path)
    first = json.loads((Path(media_models["qwen2_vl"].path) / "processor_config.json").read_text())
    again = json.loads((tmp_path / "processor_config.json").read_text())
    assert first["video_processor"] == again["video_processor"]
    assert again["processor_class"] == "Qwen2VLProcessor"
