"""Rows with media become the ids their processor makes, with labels on the answers alone."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.media_files import probe, samples
from adapters.models.hf import processor_of
from adapters.models.processors import load_processor
from domain.fingerprint import Json
from domain.masking import IGNORED, EncodedRow, TrainOn
from domain.media import MediaFile, MediaKind
from domain.model_handle import ModelHandle
from tests.adapters.showing import ANSWERS, KINDS, encode, encoder_of, known, refusal, talk, trained
from tests.fixtures.tiny_multimodal import FAMILIES, QWEN2_VL, sound


@pytest.mark.parametrize("family", FAMILIES)
def test_ids_are_those_of_the_processors_own_template_call(
    media_models: dict[str, ModelHandle], media_files: dict[str, list[MediaFile]], family: str
) -> None:
    kind = KINDS[family]
    turns = [
        {"role": "user", "content": [
            {"type": "text", "text": "Look: "},
            {"type": kind, "path": media_files[kind][0].path},
            {"type": "text", "text": "what is it?"},
        ]},
        {"role": "assistant", "content": [{"type": "text", "text": ANSWERS[0]}]},
    ]  # fmt: skip
    if kind == "audio":  # the library would read the file with a package that may be missing
        turns[0]["content"][1] = {"type": "audio", "audio": samples(media_files[kind][0], 16000)}  # type: ignore[index]
    theirs = load_processor(media_models[family].path, None).apply_chat_template(
        turns, tokenize=True, return_dict=True
    )["input_ids"][0]
    asked = talk(f"Look: <{kind}>what is it?", ANSWERS[0])
    found = encode(encoder_of(media_models[family]), asked, media_files[kind][:1])
    assert list(found.input_ids) == list(theirs)


def test_a_sound_takes_as_many_tokens_as_its_length_asks_for(
    media_models: dict[str, ModelHandle], media_files: dict[str, list[MediaFile]]
) -> None:
    asked = talk("<audio>what is it?", ANSWERS[0])
    tokens = []
    for file in media_files["audio"]:
        media = encode(encoder_of(media_models["qwen2_audio"]), asked, [file]).media
        assert media is not None
        tokens.append(media.tokens["audio"])
    # 0.5 and 0.8 seconds: 50 and 80 windows of mel features, halved twice as the encoder does it.
    assert tokens == [12, 20]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("train_on", TrainOn)
def test_labels_cover_the_answers_and_never_a_media_token(
    media_models: dict[str, ModelHandle],
    media_files: dict[str, list[MediaFile]],
    family: str,
    train_on: TrainOn,
) -> None:
    """A file behind the first answer too, where ids cannot be counted from the end."""
    kind, encoder = KINDS[family], encoder_of(media_models[family])
    conversation = talk(f"<{kind}>What?", ANSWERS[0], f"And this?<{kind}>", ANSWERS[1])
    row = encode(encoder, conversation, media_files[kind], train_on)
    text, end = trained(encoder, row), "<|im_end|>"
    first, second = (answer + end for answer in ANSWERS)
    if train_on is TrainOn.EVERYTHING:
        shown = processor_of(media_models[family])
        pads = {*shown.image_token_ids, *shown.audio_token_ids}
        assert all((label == IGNORED) is (i in pads) for i, label in zip(
            row.input_ids, row.labels, strict=True))  # fmt: skip
    else:
        wanted = second if train_on is TrainOn.LAST_TURN else first + second
        assert text.replace(" ", "") == wanted.replace(" ", "")


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_without_media_are_rendered_as_the_processor_does(
    media_models: dict[str, ModelHandle], family: str
) -> None:
    encoder = encoder_of(media_models[family])
    conversation = talk("Hello you", ANSWERS[0])
    (row,) = encoder.encode_all([conversation], TrainOn.ASSISTANT_TURNS)
    assert isinstance(row, EncodedRow)
    assert "Hello you" in "".join(encoder.pieces(row))
    assert trained(encoder, row).strip() == f"{ANSWERS[0]}<|im_end|>"
    assert encoder.agrees(conversation) is True


def test_a_handle_knows_the_language_part_alone(media_models: dict[str, ModelHandle]) -> None:
    assert {name: handle.media for name, handle in media_models.items()} == {
        "llava": ("image",),
        "qwen2_vl": ("image", "video"),
        "qwen2_audio": ("audio",),
    }
    for handle in media_models.values():
        assert {group.name: group.count for group in handle.linear} == dict.fromkeys(
            ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"), 2
        )


@pytest.mark.parametrize("named", ["CLIPImageProcessor", "CLIPImageProcessorFast"])
def test_image_processors_named_otherwise_run_on_pillow(
    media_models: dict[str, ModelHandle],
    media_files: dict[str, list[MediaFile]],
    tmp_path: Path,
    named: str,
) -> None:
    """Released checkpoints name the torchvision classes, in a file of their own."""
    import shutil

    shutil.copytree(media_models["llava"].path, tmp_path / "old")
    whole = json.loads((tmp_path / "old" / "processor_config.json").read_text())
    parts = whole.pop("image_processor") | {"image_processor_type": named}
    (tmp_path / "old" / "processor_config.json").write_text(json.dumps(whole))
    (tmp_path / "old" / "preprocessor_config.json").write_text(json.dumps(parts))
    old = encoder_of(replace(media_models["llava"], path=str(tmp_path / "old")))
    asked = (talk("<image>?", ANSWERS[0]), media_files["image"][:1])
    assert (
        encode(old, *asked).input_ids == encode(encoder_of(media_models["llava"]), *asked).input_ids
    )


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("<image> <image>?", "data-media-count", "has 2 <image> and there are 1"),
        ("none", "data-media-count", "has 0 <image> and there are 1"),
        ("<image> <|im_end|>?", "data-special-token", "<|im_end|>"),
        ("<image> <|image_pad|>?", "data-special-token", "<|image_pad|>"),
    ],
)
def test_a_text_that_does_not_fit_its_files_is_refused(
    media_models: dict[str, ModelHandle],
    media_files: dict[str, list[MediaFile]],
    text: str,
    code: str,
    said: str,
) -> None:
    encoder = encoder_of(media_models["qwen2_vl"])
    found = refusal(encoder, talk(text, ANSWERS[0]), media_files["image"][:1])
    assert (found[0], said in found[1]) == (code, True)


def test_special_tokens_beside_the_contents_are_refused_too(
    media_models: dict[str, ModelHandle], media_files: dict[str, list[MediaFile]]
) -> None:
    asked = talk("<image>?", ANSWERS[0])
    tool: dict[str, Json] = {
        "type": "function",
        "function": {"name": "f", "description": "<|im_end|>"},
    }
    encoder = encoder_of(media_models["qwen2_vl"])
    code, _ = refusal(encoder, replace(asked, tools=(tool,)), media_files["image"][:1])
    assert code == "data-special-token"
    tool = {"type": "function", "function": {"name": "find_it"}}
    code, _ = refusal(encoder, replace(asked, tools=(tool,)), media_files["image"][:1])
    assert code == "data-template-without-tools"


def test_files_of_a_kind_the_model_does_not_take_are_refused(
    media_models: dict[str, ModelHandle], media_files: dict[str, list[MediaFile]]
) -> None:
    asked = talk("<audio>?", ANSWERS[0]), media_files["audio"][:1]
    code, said = refusal(encoder_of(media_models["llava"]), *asked)
    assert code == "data-media-kind"
    assert "audio" in said


def test_a_template_that_leaves_texts_out_is_refused(
    media_models: dict[str, ModelHandle], media_files: dict[str, list[MediaFile]]
) -> None:
    deaf = QWEN2_VL.replace("{{ part['text'] }}", "{{ part['text'] | replace('Psst', '') }}")
    encoder = encoder_of(replace(media_models["qwen2_vl"], template=deaf))
    code, said = refusal(encoder, talk("<image>Psst", ANSWERS[0]), media_files["image"][:1])
    assert (code, "what the user says: Psst" in said) == ("data-template-refused", True)


def test_a_template_without_a_placeholder_is_refused(
    media_models: dict[str, ModelHandle], media_files: dict[str, list[MediaFile]]
) -> None:
    blind = QWEN2_VL.replace("<|image_pad|>", "")
    encoder = encoder_of(replace(media_models["qwen2_vl"], template=blind))
    asked = talk("<image>?", ANSWERS[0]), media_files["image"][:1]
    assert refusal(encoder, *asked)[0] == "data-media-refused"


def test_audio_that_the_processor_would_cut_is_refused(
    media_models: dict[str, ModelHandle], tmp_path: Path
) -> None:
    long = known(probe(str(sound(tmp_path / "long.wav", 7.0)), MediaKind.AUDIO))
    code, said = refusal(
        encoder_of(media_models["qwen2_audio"]), talk("<audio>?", ANSWERS[0]), [long]
    )
    assert (code, "7.0 seconds" in said, "at 6" in said) == ("data-audio-too-long", True, True)


def test_the_demo_rows_of_a_peer_fit_an_image_model(
    media_models: dict[str, ModelHandle], shared_data: Path
) -> None:
    from entrypoints.container import make_container
    from ports.spec_reader import SpecText

    demo = shared_data / "llamafactory" / "mllm_demo.json"
    spec = {
        "model": {"name": media_models["qwen2_vl"].path},
        "data": {"train": [{"path": str(demo)}]},
    }
    container = make_container("unused")
    read = container.spec_reader().read(SpecText(text=json.dumps(spec), format="json", source="t"))
    report = container.inspect_data().report(read.spec)
    assert report.clean, report.as_json()
    assert (report.rows_read, report.media["image"].files) == (6, 8)
    assert report.media["image"].sizes == ["300x166", "300x168", "300x199"]
