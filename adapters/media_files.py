"""Images, videos and audio files: what their headers say, their pixels and their samples.

Pillow reads images, animations and folders of frames; `wave` of the standard library reads WAV.
The packages av (any video) and soundfile (any other audio) are asked for where a row needs them.
"""

import wave
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from domain.errors import fail
from domain.media import MediaFile, MediaKind, MediaLoading

PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
"""Endings of the frames in a folder."""
ANIMATIONS = frozenset({".gif", ".webp", ".apng", ".png"})
"""Endings of videos that Pillow reads."""
WAVE = frozenset({".wav", ".wave"})
STILL_S = 1.0
"""Seconds from one frame to the next where a video does not say."""


class UnusableError(Exception):
    """Says why a file cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """Frames of a video, evenly spaced."""

    frames: Sequence[Any]
    """Pillow images, all of one size."""
    numbers: Sequence[int]
    """Which frames of the video they are."""
    total: int
    """Frames of the whole video."""
    frames_per_s: float
    """Frames of the whole video in a second."""


def probe(path: str, kind: MediaKind) -> MediaFile | str:
    """What the file's header says, or why it cannot be used.

    Images are also decoded once, at an eighth of their size where the format allows it: a file
    that breaks off has a whole header.
    """
    place = Path(path).expanduser()
    try:
        facts = place.stat()
        return _probed(path, kind, facts.st_mtime_ns, facts.st_size)
    except OSError:
        return f"there is no file {path}"
    except UnusableError as error:
        return f"{path} {error}"


def image(file: MediaFile, loading: MediaLoading) -> Any:
    """The picture as it is meant to be seen, in RGB. Raises HextuneError for a broken file."""
    from PIL import Image

    try:
        with Image.open(Path(file.path).expanduser()) as opened:
            return _shown(opened, loading)
    except (OSError, SyntaxError, ValueError) as error:
        raise _broken(file, error) from None


def clip(file: MediaFile, loading: MediaLoading) -> Clip:
    """Frames of a video. Raises HextuneError for a broken file."""
    place = Path(file.path).expanduser()
    wanted = _spread(file.frames, loading.video_frames)
    try:
        if place.is_dir():
            found = _folder_frames(place, wanted, loading)
        elif place.suffix.lower() in ANIMATIONS:
            found = _animation_frames(place, wanted, loading)
        else:
            found = _video_frames(place, wanted, loading)
    except (OSError, SyntaxError, ValueError) as error:
        raise _broken(file, error) from None
    if len(found) < len(wanted):
        raise _broken(file, EOFError(f"it ends before frame {wanted[len(found)]}"))
    frames = [frame.resize(found[0].size) for frame in found]
    rate = file.frames / file.seconds if file.seconds else 1 / STILL_S
    return Clip(frames=frames, numbers=wanted, total=file.frames, frames_per_s=rate)


def samples(file: MediaFile, rate_hz: int) -> Any:
    """Mono samples of shape (T,) in float32 between -1 and 1, at `rate_hz`."""
    place = Path(file.path).expanduser()
    try:
        if place.suffix.lower() in WAVE:
            found, own_hz = _wave_samples(place)
        else:
            import soundfile

            found, own_hz = soundfile.read(str(place), dtype="float32", always_2d=True)
    except (OSError, EOFError, wave.Error, RuntimeError) as error:
        raise _broken(file, error) from None
    return _resampled(found.mean(axis=1), own_hz, rate_hz)


@lru_cache(maxsize=65536)
def _probed(path: str, kind: MediaKind, changed_ns: int, size_bytes: int) -> MediaFile:
    """The header's facts; rows often name one file many times."""
    place = Path(path).expanduser()
    if kind is MediaKind.AUDIO:
        return MediaFile(kind=kind, path=path, seconds=_seconds(place))
    if kind is MediaKind.IMAGE:
        width, height = _size(place)
        return MediaFile(kind=kind, path=path, width=width, height=height)
    frames, seconds, (width, height) = _video_facts(place)
    if not frames:
        raise UnusableError("holds no frames")
    return MediaFile(
        kind=kind, path=path, width=width, height=height, frames=frames, seconds=seconds
    )


def _size(place: Path) -> tuple[int, int]:
    """Width and height of a picture that can be decoded."""
    from PIL import Image, ImageOps

    try:
        with Image.open(place) as opened:
            turned = ImageOps.exif_transpose(opened) if opened.getexif().get(0x0112) else opened
            width, height = turned.size
            opened.draft("RGB", (opened.width // 8, opened.height // 8))
            opened.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UnusableError(f"is no picture that can be read: {error}") from None
    return int(width), int(height)


def _video_facts(place: Path) -> tuple[int, float, tuple[int, int]]:
    """(frames, seconds or 0, (width, height)) of a video."""
    from PIL import Image, ImageSequence

    if place.is_dir():
        pictures = _pictures(place)
        return len(pictures), 0.0, _size(pictures[0]) if pictures else (0, 0)
    if place.suffix.lower() not in ANIMATIONS:
        return _stream_facts(place)
    size = _size(place)
    with Image.open(place) as opened:
        shown_ms = [frame.info.get("duration", 0) for frame in ImageSequence.Iterator(opened)]
    return len(shown_ms), sum(shown_ms) / 1000, size


def _stream_facts(place: Path) -> tuple[int, float, tuple[int, int]]:
    _need("av", "this kind of video")
    import av

    try:
        with av.open(str(place)) as container:
            if not container.streams.video:
                raise UnusableError("holds no video")
            stream = container.streams.video[0]
            seconds = float(container.duration or 0) / av.time_base
            frames = stream.frames or round(seconds * float(stream.average_rate or 0))
            return frames, seconds, (stream.width, stream.height)
    except (OSError, ValueError) as error:
        raise UnusableError(f"is no video that can be read: {error}") from None


def _seconds(place: Path) -> float:
    """Length of an audio file."""
    try:
        if place.suffix.lower() in WAVE:
            with wave.open(str(place), "rb") as opened:
                length = opened.getnframes() / opened.getframerate()
        else:
            _need("soundfile", "audio other than WAV")
            import soundfile

            length = float(soundfile.info(str(place)).duration)
    except (OSError, EOFError, wave.Error, RuntimeError, ZeroDivisionError) as error:
        reason = str(error) or "it breaks off"
        raise UnusableError(f"is no audio that can be read: {reason}") from None
    if not length:
        raise UnusableError("holds no sound")
    return length


def _need(package: str, what: str) -> None:
    if find_spec(package) is None:
        raise UnusableError(f"needs the package {package}, which reads {what}")


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)


def _spread(total: int, count: int) -> list[int]:
    """Up to `count` of `total` frame numbers, each in the middle of an equal part."""
    parts = min(total, count)
    return [(2 * part + 1) * total // (2 * parts) for part in range(parts)]


def _shown(opened: Any, loading: MediaLoading) -> Any:
    """A picture turned as its camera says, in RGB, within the allowed pixels."""
    from PIL import ImageOps

    picture = ImageOps.exif_transpose(opened).convert("RGB")
    limit, pixels = loading.image_max_pixels, picture.width * picture.height
    if limit is None or pixels <= limit:
        return picture
    scale = (limit / pixels) ** 0.5
    return picture.resize((max(1, int(picture.width * scale)), max(1, int(picture.height * scale))))


def _folder_frames(folder: Path, wanted: Sequence[int], loading: MediaLoading) -> list[Any]:
    from PIL import Image

    pictures, frames = _pictures(folder), []
    for number in wanted:
        with Image.open(pictures[number]) as opened:
            frames.append(_shown(opened, loading))
    return frames


def _animation_frames(place: Path, wanted: Sequence[int], loading: MediaLoading) -> list[Any]:
    from PIL import Image

    frames = []
    with Image.open(place) as opened:
        for number in wanted:
            opened.seek(number)
            frames.append(_shown(opened, loading))
    return frames


def _video_frames(place: Path, wanted: Sequence[int], loading: MediaLoading) -> list[Any]:
    import av

    frames: list[Any] = []
    with av.open(str(place)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number == wanted[len(frames)]:
                frames.append(_shown(frame.to_image(), loading))
            if len(frames) == len(wanted):
                break
    return frames


def _wave_samples(place: Path) -> tuple[Any, int]:
    """(samples of shape (T, channels), sampling rate) of integer PCM."""
    import numpy as np

    with wave.open(str(place), "rb") as opened:
        data = np.frombuffer(opened.readframes(opened.getnframes()), np.uint8)
        width, channels = opened.getsampwidth(), opened.getnchannels()
        rate_hz = opened.getframerate()
    data = data[: len(data) // (width * channels) * width * channels].reshape(-1, width)
    if width == 1:
        whole = (data[:, 0].astype(np.float32) - 128) / 128
    else:
        wide = np.zeros((len(data), 4), np.uint8)  # the highest bytes of a 32-bit integer
        wide[:, 4 - width :] = data
        whole = wide.view("<i4")[:, 0].astype(np.float32) / 2**31
    return whole.reshape(-1, channels), rate_hz


def _resampled(sound: Any, own_hz: int, rate_hz: int) -> Any:
    """The same sound at another rate: frequencies above half the lower rate are left out."""
    import numpy as np

    if own_hz == rate_hz:
        return sound.astype(np.float32)
    length = round(len(sound) * rate_hz / own_hz)
    kept = np.fft.rfft(sound)[: length // 2 + 1]
    return (np.fft.irfft(kept, length) * (length / len(sound))).astype(np.float32)


def _broken(file: MediaFile, error: Exception) -> Exception:
    return fail("data-media-broken", path=file.path, reason=str(error) or type(error).__name__)
