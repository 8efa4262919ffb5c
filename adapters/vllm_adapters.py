"""The LoRA adapters that vLLM is started with, and the room it is to have for further ones.

On a CPU LoRA slows every answer, by the largest rank that is allowed and also where no adapter is
asked; it is off there until there is an adapter, and its rank is no larger than needed. vLLM 0.32
on a CPU also answers as an adapter where the base is asked beside it (`vllm.lora.ops.torch_ops`
takes the index -1, no adapter, for the last one). So there the base is an adapter as well, one that
changes nothing.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""Largest ranks that vLLM knows."""
ROOM = 64
"""Largest rank of an adapter that is added while it runs, where room for it costs nothing."""
WEIGHTS = "weights"
"""What vLLM calls the base where the base's name is that of an adapter."""
KEPT = 16
"""Adapters kept in memory; further ones are read again when they are asked."""


class VllmAdapters:
    """Adapters by name, over one base."""

    def __init__(self, base: str, folders: Mapping[str, str], *, cpu: bool) -> None:
        self._base = base
        self._cpu = cpu
        self._rank = 0 if cpu else ROOM
        self._still: TemporaryDirectory[str] | None = None
        self._folders: Mapping[str, str] = {}
        for name, folder in folders.items():
            self.make_room(folder)
            self.add(name, folder)

    def make_room(self, folder: str) -> bool:
        """Whether vLLM has to be started again before it can take this adapter."""
        rank = lora_rank(folder)
        if rank <= self._rank:
            return False
        self._rank = next(each for each in RANKS if each >= rank)
        if self._cpu and self._still is None:
            self._still = TemporaryDirectory(prefix="hextune-still-")
            write_still(folder, Path(self._still.name))
        return True

    def add(self, name: str, folder: str) -> None:
        """One more, whenever vLLM is started from now on."""
        self._folders = {**self._folders, name: str(Path(folder).resolve())}

    def remove(self, name: str) -> None:
        """One less."""
        self._folders = {each: at for each, at in self._folders.items() if each != name}

    def arguments(self) -> list[str]:
        """Arguments of vLLM's server."""
        if not self._rank:
            return ["--served-model-name", self._base]
        still = {} if self._still is None else {self._base: self._still.name}
        modules = {**self._folders, **still}
        named = [json.dumps({"name": name, "path": at}) for name, at in modules.items()]
        places = len(modules) + 1  # one for those that are added while it runs
        return [
            *("--served-model-name", WEIGHTS if still else self._base, "--enable-lora"),
            *("--max-lora-rank", str(self._rank), "--max-loras", str(places)),
            *("--max-cpu-loras", str(max(places, KEPT))),
            *(["--lora-modules", *named] if named else []),
        ]

    def close(self) -> None:
        """Remove what was written."""
        if self._still is not None:
            self._still.cleanup()


def lora_rank(folder: str) -> int:
    """The largest rank of a LoRA adapter."""
    from peft import PeftConfig

    config = PeftConfig.from_pretrained(folder)
    rank: int = max([config.r, *config.rank_pattern.values()])
    return rank


def write_still(like: str, folder: Path) -> None:
    """An adapter that changes nothing, in the shapes of another one."""
    import torch
    from peft.utils import load_peft_weights
    from safetensors.torch import save_file

    weights = load_peft_weights(like, device="cpu")
    zeros = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    save_file(zeros, folder / "adapter_model.safetensors")
    shutil.copy(Path(like) / "adapter_config.json", folder)
