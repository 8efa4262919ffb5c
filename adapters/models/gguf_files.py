"""GGUF files as models: unpacked once into the user's cache, and read from there.

Packed weights neither train nor save, so they are dequantized to safetensors: in bfloat16, or as
they are where all matrices of the file are plain. The unpacked folder is complete or absent: it is
built beside its place and moved there. Format: ggml's GGUF version 3, read by the gguf package.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from domain.errors import HextuneError, Place, fail
from domain.fingerprint import fingerprint

SUFFIX = ".gguf"
PLACE = Place(field="model.name")
PLAIN = {"F32": "float32", "F16": "float16"}
"""Types of the format that are kept as they are."""


def gguf_folder(cache: Path, name: str) -> Path:
    """The unpacked model of a GGUF file, under `cache`; a file that changed is another model.

    Raises HextuneError where the file is missing, damaged, or of a kind transformers cannot read.
    """
    source = Path(name).expanduser().resolve()
    if not source.is_file():
        raise fail("model-missing", PLACE, name=name)
    facts = source.stat()
    key = fingerprint([str(source), facts.st_size, facts.st_mtime_ns])[:12]
    target = cache / "models" / f"{source.stem}-{key}"
    if not target.is_dir():
        architecture, dtype = _inside(source, name)
        try:
            unpack(source, target, dtype=dtype)
        except (ValueError, KeyError, NotImplementedError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise fail(
                "model-gguf-unfit", PLACE, name=name, architecture=architecture, reason=reason
            ) from None
    return target


def unpack(source: Path, target: Path, *, dtype: str, licence: str | None = None) -> None:
    """Make the folder `target` of a GGUF file, unless it is there, with a note of its licence."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.parent / f"{target.name}.lock"):
        if target.is_dir():
            return
        print(f"unpacking {source.name} into {target}, once", file=sys.stderr, flush=True)
        building = Path(tempfile.mkdtemp(dir=target.parent, prefix=".new-"))
        try:
            _dequantize(source, building, dtype)
            if licence is not None:
                (building / "LICENCE.txt").write_text(f"{licence}\n", encoding="utf-8")
            building.chmod(0o755)
            building.rename(target)
        finally:
            shutil.rmtree(building, ignore_errors=True)


def _dequantize(source: Path, folder: Path, dtype: str) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    network, found = AutoModelForCausalLM.from_pretrained(
        source.parent,
        gguf_file=source.name,
        dtype=getattr(torch, dtype),
        quantization_config=GgufConfig(dequantize=True),
        output_loading_info=True,
    )
    if found["missing_keys"]:
        raise _damaged(source.name, f"it lacks {min(found['missing_keys'])}")
    network.config.quantization_config = None
    del network.config.quantization_config
    network.save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)


def _inside(source: Path, name: str) -> tuple[str, str]:
    """(architecture, dtype its weights are kept in), read from the tables of a whole file."""
    from gguf import GGUFReader

    try:
        reader: Any = GGUFReader(source)
        architecture = str(reader.fields["general.architecture"].contents())
        kinds = {each.tensor_type.name for each in reader.tensors if len(each.shape) > 1}
    except (ValueError, KeyError, IndexError, OverflowError) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise _damaged(name, reason) from None
    only = kinds.pop() if len(kinds) == 1 else ""
    return architecture, PLAIN.get(only, "bfloat16")


def _damaged(name: str, reason: str) -> HextuneError:
    return fail("model-gguf-damaged", PLACE, name=name, reason=reason)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    import fcntl

    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
