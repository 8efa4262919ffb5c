"""Processors of multimodal models: what turns images, videos and audio into a network's inputs.

transformers' image processors have a Pillow backend, which they take where torchvision is absent;
its video processors have none. There a stand-in keeps the video processor's settings, so that they
are saved with the model, and says what to install when a video comes.
"""

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

from domain.errors import Place, fail
from domain.media import MediaKind

PARTS = {
    "image_processor": MediaKind.IMAGE,
    "video_processor": MediaKind.VIDEO,
    "feature_extractor": MediaKind.AUDIO,
    "audio_processor": MediaKind.AUDIO,
}
"""Part of a processor to the kind of file it takes."""


def media_kinds(config: Any) -> tuple[MediaKind, ...]:
    """Kinds of files a model of this config takes; none for a text model."""
    from transformers import MODEL_FOR_MULTIMODAL_LM_MAPPING, PROCESSOR_MAPPING

    if type(config) not in MODEL_FOR_MULTIMODAL_LM_MAPPING or type(config) not in PROCESSOR_MAPPING:
        return ()
    parts = PROCESSOR_MAPPING[type(config)].get_attributes()
    return tuple(kind for name, kind in PARTS.items() if name in parts)


def audio_part(processor: Any) -> Any:
    """The part of a processor that takes audio."""
    parts = processor.get_attributes()
    (name,) = (name for name, kind in PARTS.items() if kind is MediaKind.AUDIO and name in parts)
    return getattr(processor, name)


def takes_videos(processor: Any) -> bool:
    """Whether videos can go to the model's own video processor here."""
    return "video_processor" in processor.get_attributes() and not isinstance(
        processor.video_processor, video_settings()
    )


def media_tokens(processor: Any) -> dict[int, MediaKind]:
    """Each token that stands for a part of a file, and what kind of file."""
    ids = {
        MediaKind.IMAGE: processor.image_token_ids,
        MediaKind.VIDEO: processor.video_token_ids,
        MediaKind.AUDIO: processor.audio_token_ids,
    }
    return {token: kind for kind, tokens in ids.items() for token in tokens if token is not None}


@cache
def load_processor(path: str, revision: str | None) -> Any:
    """The processor of a folder or hub id. Raises HextuneError where it cannot be read."""
    from transformers import PROCESSOR_MAPPING, AutoConfig, AutoProcessor

    try:
        config = AutoConfig.from_pretrained(path, revision=revision)
        kind = PROCESSOR_MAPPING[type(config)]
        if "video_processor" not in kind.get_attributes() or find_spec("torchvision") is not None:
            return AutoProcessor.from_pretrained(path, revision=revision)
        settings, _ = kind.get_processor_dict(path, revision=revision)
        parts = [_part(name, path, revision) for name in kind.get_attributes()]
        return without_videos(kind).from_args_and_dict(parts, settings)
    except (OSError, ValueError, ImportError, TypeError) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise fail(
            "model-unreadable", Place(field="model.name"), name=path, reason=reason
        ) from None


def _part(name: str, path: str, revision: str | None) -> Any:
    """One part of a processor, the video processor by its stand-in."""
    from transformers import AutoFeatureExtractor, AutoImageProcessor, AutoTokenizer

    loaders = {
        "tokenizer": AutoTokenizer,
        "image_processor": AutoImageProcessor,
        "feature_extractor": AutoFeatureExtractor,
        "video_processor": video_settings(),
    }
    if name not in loaders:
        raise ValueError(f"its processor has a part called {name}, which needs torchvision")
    return loaders[name].from_pretrained(path, revision=revision)


@cache
def without_videos(kind: type[Any]) -> type[Any]:
    """A class of processors, of the same name, that takes the stand-in for its video part.

    The check of its own looks classes up that transformers defines only beside torchvision.
    """

    def check(self: Any, name: str, part: Any) -> type[Any]:
        if name == "video_processor":
            return video_settings()
        found: type[Any] = kind.check_argument_for_proper_class(self, name, part)
        return found

    return type(kind.__name__, (kind,), {"check_argument_for_proper_class": check})


@cache
def video_settings() -> type[Any]:
    """The class of a video processor that keeps its settings and takes no videos."""
    from transformers.video_processing_utils import VideoProcessorMixin

    class VideoSettings(VideoProcessorMixin):  # type: ignore[misc]
        """Settings of a video processor that cannot run without torchvision."""

        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            self._settings = settings

        @classmethod
        def get_video_processor_dict(cls, path: str, **asked: Any) -> Any:
            """The recorded settings; none where only the image processor's are recorded."""
            try:
                return super().get_video_processor_dict(path, **asked)
            except OSError:
                return {}, asked

        def to_dict(self) -> dict[str, Any]:
            """The settings as they were read."""
            return dict(self._settings)

        def preprocess(self, videos: Sequence[Any], **asked: Any) -> Any:
            """Raises HextuneError: the library's video processors need torchvision."""
            raise fail("data-video-processor")

    return VideoSettings
