"""Media files: headers, pixels and samples, and what is said of files that cannot be used."""

import wave
from importlib.util import find_spec
from pathlib import Path

import pytest

from adapters.media_files import clip, image, probe, samples
from domain.errors import HextuneError
from domain.media import MediaFile, MediaKind, MediaLoading
from tests.fixtures.tiny_multimodal import picture, sound


def found(path: Path, kind: MediaKind) -> MediaFile:
    facts = probe(str(path), kind)
    assert isinstance(facts, MediaFile), facts
    return facts


def reason(path: Path, kind: MediaKind) -> str:
    said = probe(str(path), kind)
    assert isinstance(said, str), said
    return said.replace(str(path), "FILE")


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.bmp"])
def test_an_images_header_says_its_size(tmp_path: Path, name: str) -> None:
    facts = found(picture(tmp_path / name, size=(20, 10)), MediaKind.IMAGE)
    assert (facts.width, facts.height) == (20, 10)
    assert image(facts, MediaLoading()).size == (20, 10)


def test_larger_images_are_scaled_down_to_the_pixels_asked_for(tmp_path: Path) -> None:
    facts = found(picture(tmp_path / "a.png", size=(200, 100)), MediaKind.IMAGE)
    assert image(facts, MediaLoading(image_max_pixels=5000)).size == (100, 50)
    assert image(facts, MediaLoading(image_max_pixels=20000)).size == (200, 100)


def test_an_image_is_turned_as_its_camera_says(tmp_path: Path) -> None:
    from PIL import Image

    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (20, 10)).save(tmp_path / "a.jpg", exif=turned)
    facts = found(tmp_path / "a.jpg", MediaKind.IMAGE)
    assert (facts.width, facts.height) == image(facts, MediaLoading()).size == (10, 20)


def test_files_that_are_missing_or_no_images_say_so(tmp_path: Path) -> None:
    assert reason(tmp_path / "none.png", MediaKind.IMAGE) == "there is no file FILE"
    text = tmp_path / "text.png"
    text.write_text("no picture")
    assert reason(text, MediaKind.IMAGE).startswith("FILE is no picture that can be read")
    assert reason(tmp_path, MediaKind.IMAGE).startswith("FILE is no picture that can be read")


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_an_image_that_breaks_off_is_found_though_its_header_is_whole(
    tmp_path: Path, name: str
) -> None:
    whole = picture(tmp_path / name, size=(400, 300))
    half = tmp_path / f"half-{name}"
    half.write_bytes(whole.read_bytes()[:-200])
    assert reason(half, MediaKind.IMAGE).startswith("FILE is no picture that can be read")


def test_a_changed_file_is_looked_at_again(tmp_path: Path) -> None:
    place = picture(tmp_path / "a.png", size=(20, 10))
    assert found(place, MediaKind.IMAGE).width == 20
    picture(place, size=(30, 10))
    assert found(place, MediaKind.IMAGE).width == 30


def test_frames_of_a_folder_are_taken_evenly(tmp_path: Path) -> None:
    for number in range(10):
        picture(tmp_path / f"{number:02}.png", f"rgb({number * 20}, 0, 0)")
    facts = found(tmp_path, MediaKind.VIDEO)
    assert (facts.frames, facts.width, facts.height, facts.seconds) == (10, 24, 16, 0.0)
    shown = clip(facts, MediaLoading(video_frames=5))
    assert shown.numbers == [1, 3, 5, 7, 9]
    assert [frame.getpixel((0, 0))[0] for frame in shown.frames] == [20, 60, 100, 140, 180]
    assert len(clip(facts, MediaLoading(video_frames=50)).frames) == 10


def test_frames_of_an_animation_come_with_their_time(tmp_path: Path) -> None:
    from PIL import Image

    shades = [Image.new("RGB", (8, 8), (number * 60, 0, 0)) for number in range(4)]
    shades[0].save(tmp_path / "a.gif", save_all=True, append_images=shades[1:], duration=250)
    facts = found(tmp_path / "a.gif", MediaKind.VIDEO)
    assert (facts.frames, facts.seconds) == (4, 1.0)
    shown = clip(facts, MediaLoading(video_frames=2))
    assert (list(shown.numbers), shown.total, shown.frames_per_s) == ([1, 3], 4, 4.0)


def test_a_folder_without_pictures_is_no_video(tmp_path: Path) -> None:
    assert reason(tmp_path, MediaKind.VIDEO) == "FILE holds no frames"


@pytest.mark.parametrize(
    ("name", "kind", "package"),
    [("a.mp4", MediaKind.VIDEO, "av"), ("a.mp3", MediaKind.AUDIO, "soundfile")],
)
def test_a_missing_package_is_named(
    tmp_path: Path, name: str, kind: MediaKind, package: str
) -> None:
    if find_spec(package) is not None:
        pytest.skip(f"{package} is installed here")
    (tmp_path / name).write_bytes(b"something")
    assert reason(tmp_path / name, kind).startswith(f"FILE needs the package {package}")


def test_a_sound_keeps_its_pitch_at_another_rate(tmp_path: Path) -> None:
    import numpy as np

    facts = found(sound(tmp_path / "a.wav", 0.5, rate_hz=8000, pitch_hz=440), MediaKind.AUDIO)
    assert facts.seconds == 0.5
    heard = samples(facts, 16000)
    assert (len(heard), heard.dtype) == (8000, np.float32)
    assert np.argmax(np.abs(np.fft.rfft(heard))) == 220  # 440 Hz in half a second
    assert np.abs(heard).max() == pytest.approx(12000 / 2**15, rel=0.01)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_every_width_of_integer_samples_is_read(tmp_path: Path, width: int) -> None:
    half = 192 if width == 1 else 2 ** (8 * width - 2)
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(width)
        file.setframerate(16000)
        file.writeframes((half.to_bytes(width, "little") + _zero(width)) * 100)
    heard = samples(found(tmp_path / "a.wav", MediaKind.AUDIO), 16000)
    assert heard.shape == (100,)
    assert heard == pytest.approx(0.25)  # the mean of a half and of silence


def _zero(width: int) -> bytes:
    return bytes([128]) if width == 1 else bytes(width)


def test_damaged_audio_is_a_reason(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF....WAVE")
    assert reason(tmp_path / "a.wav", MediaKind.AUDIO).startswith("FILE is no audio")
    sound(tmp_path / "empty.wav", 0.0)
    assert reason(tmp_path / "empty.wav", MediaKind.AUDIO) == "FILE holds no sound"


def test_a_file_that_is_gone_later_is_the_users_error(tmp_path: Path) -> None:
    facts = found(picture(tmp_path / "a.png"), MediaKind.IMAGE)
    (tmp_path / "a.png").unlink()
    with pytest.raises(HextuneError) as raised:
        image(facts, MediaLoading())
    assert raised.value.problems[0].code == "data-media-broken"
