"""Property tests without a deadline, as a busy machine is no failure; tiny multimodal models."""

from pathlib import Path

import pytest
from hypothesis import settings

from domain.media import MediaFile, MediaKind
from domain.model_handle import ModelHandle
from domain.run_spec import ModelSection

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(scope="session")
def media_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelHandle]:
    """Family to the handle of its tiny multimodal model."""
    from adapters.catalog import FolderCatalog
    from adapters.models.hf import HfModelBackend
    from tests.fixtures.tiny_multimodal import FAMILIES

    folder = tmp_path_factory.mktemp("models")
    backend = HfModelBackend(FolderCatalog())
    return {
        name: backend.inspect(ModelSection(name=str(build(folder / name))))
        for name, build in FAMILIES.items()
    }


@pytest.fixture
def media_files(tmp_path: Path) -> dict[str, list[MediaFile]]:
    """Kind to two files of that kind, as their headers describe them."""
    from adapters.media_files import probe
    from tests.adapters.showing import known
    from tests.fixtures.tiny_multimodal import picture, sound

    small, large = picture(tmp_path / "1.png"), picture(tmp_path / "2.jpg", "blue", (40, 24))
    found = {
        MediaKind.IMAGE: [small, large],
        MediaKind.AUDIO: [sound(tmp_path / "1.wav"), sound(tmp_path / "2.wav", 0.8)],
    }
    return {
        kind.value: [known(probe(str(path), kind)) for path in paths]
        for kind, paths in found.items()
    }
