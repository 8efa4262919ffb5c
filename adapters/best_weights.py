"""The weights of the best evaluation, kept in one file beside the checkpoints.

They need no optimizer state, as nothing resumes from them: the result is made of them at the end.
"""

from pathlib import Path
from typing import Any

from adapters.checkpointing import to_disk

FILE = "best.safetensors"


def keep_best(model: Any, folder: Path, step: int) -> None:
    """Write what learns, beside the file first; one that was kept before gives way."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        name: weight.detach().cpu().contiguous()
        for name, weight in model.named_parameters()
        if weight.requires_grad
    }
    beside = folder / f".{FILE}"
    save_file(weights, beside, metadata={"step": str(step)})
    to_disk(beside)
    beside.replace(folder / FILE)


def take_best(model: Any, folder: Path) -> int:
    """Give the model the weights that were kept; the step they are of."""
    import torch
    from safetensors import safe_open

    with safe_open(folder / FILE, framework="pt") as kept, torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.requires_grad:
                weight.copy_(kept.get_tensor(name))
        return int(kept.metadata()["step"])
