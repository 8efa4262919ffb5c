"""Checkpoints as streams of tensors: read file by file, written in shards, never held whole.

Layout: one `model.safetensors`, or shards with `model.safetensors.index.json`, as safetensors and
transformers publish it. A pickled `pytorch_model.bin` is read by torch's unpickler for weights
alone, mapped into memory.
"""

import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from domain.errors import HextuneError, fail

SAFE = "model.safetensors"
PICKLED = "pytorch_model.bin"


def weight_files(folder: Path) -> list[Path]:
    """The files of a checkpoint, in order. Raises HextuneError where there are none."""
    for name in (SAFE, PICKLED):
        index = folder / f"{name}.index.json"
        if index.is_file():
            mapped = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
            return [folder / each for each in sorted(set(mapped.values()))]
        if (folder / name).is_file():
            return [folder / name]
    raise _unreadable(folder, f"there is neither {SAFE} nor {PICKLED}")


def read_tensors(path: Path) -> Iterator[tuple[str, Any]]:
    """Names and tensors of one file, one at a time. Raises HextuneError for a damaged file."""
    import torch
    from safetensors import SafetensorError, safe_open

    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118 - the handle is no mapping
                    yield name, file.get_tensor(name)
        else:
            yield from torch.load(path, map_location="cpu", mmap=True, weights_only=True).items()
    except (OSError, RuntimeError, SafetensorError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        raise _unreadable(path, reason) from None


class ShardWriter:
    """Collects tensors and writes a shard whenever enough are together."""

    def __init__(self, folder: Path, shard_bytes: int) -> None:
        self._folder, self._shard_bytes = folder, shard_bytes
        self._waiting: dict[str, Any] = {}
        self._waiting_bytes = 0
        self._shards: list[list[str]] = []
        self.size_bytes = 0
        """Bytes of every tensor so far."""
        self.dtype = "float32"
        """Dtype of the newest tensor."""

    def add(self, name: str, tensor: Any) -> None:
        """Take one tensor; a view is copied, so that no two share memory."""
        import torch

        self._waiting[name] = tensor.clone(memory_format=torch.contiguous_format)
        self._waiting_bytes += tensor.nbytes
        self.dtype = str(tensor.dtype).removeprefix("torch.")
        self.size_bytes += tensor.nbytes
        if self._waiting_bytes >= self._shard_bytes:
            self._write()

    def finish(self) -> list[list[str]]:
        """Write what waits, give the shards their names and an index; names by shard."""
        if self._waiting:
            self._write()
        count = len(self._shards)
        if count == 1:
            self._beside(1).rename(self._folder / SAFE)
            return self._shards
        mapped: dict[str, str] = {}
        for number, names in enumerate(self._shards, start=1):
            shard = f"model-{number:05}-of-{count:05}.safetensors"
            self._beside(number).rename(self._folder / shard)
            mapped |= dict.fromkeys(names, shard)
        index = {"metadata": {"total_size": self.size_bytes}, "weight_map": mapped}
        text = json.dumps(index, indent=2) + "\n"
        (self._folder / f"{SAFE}.index.json").write_text(text, encoding="utf-8")
        return self._shards

    def _write(self) -> None:
        from safetensors.torch import save_file

        self._shards.append(list(self._waiting))
        save_file(self._waiting, self._beside(len(self._shards)), metadata={"format": "pt"})
        self._waiting, self._waiting_bytes = {}, 0

    def _beside(self, number: int) -> Path:
        """The name of a shard while it is not known how many there will be."""
        return self._folder / f"part-{number:05}.safetensors"


def _unreadable(path: Path, reason: str) -> HextuneError:
    return fail("model-unreadable", name=path, reason=reason)
