"""The save rehearsal: what a checkpoint will hold is written, read back, compared and deleted.

It comes before the first step, so that a disk that cannot be written, or a model that cannot be
saved, ends a run in its first minute and not at its first checkpoint.
"""

import hashlib
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adapters.methods import Tuned
from domain.budget import shown_bytes
from domain.checkpoint import checkpoint_bytes, disk_bytes
from domain.errors import fail
from ports.trainer import TrainRequest

FOLDER = "rehearsal"
WHOLE = ("single", "ddp")
"""Strategies by which every rank has the whole model."""


def rehearse(trainer: Any, tuned: Tuned, request: TrainRequest) -> None:
    """Raises HextuneError where what the run is to save cannot be kept; draws no random number.

    The first rank does it, where the model is whole there; what is shared out is saved together.
    """
    from safetensors import SafetensorError

    if request.plan.parallelism.strategy not in WHOLE or not trainer.is_world_process_zero():
        return
    folder = Path(request.folder) / "checkpoints" / FOLDER
    shutil.rmtree(folder, ignore_errors=True)  # a killed worker may have left one
    try:
        folder.mkdir(parents=True)
        _write(trainer, tuned, folder)
        _compare(trainer, request, folder)
    except OSError as error:
        reason = error.strerror or str(error)
        raise fail("output-unwritable", folder=folder.parent, reason=reason) from error
    except (
        SafetensorError,
        pickle.PickleError,
        RuntimeError,
        TypeError,
        ValueError,
        AttributeError,
    ) as error:
        raise fail("run-unsaveable", reason=error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write(trainer: Any, tuned: Tuned, folder: Path) -> None:
    """Model or adapter, the optimizer's state as it is now, the trainer's, and the result."""
    import torch

    trainer.save_model(str(folder / "checkpoint"))
    torch.save(trainer.optimizer.state_dict(), folder / "optimizer.pt")
    trainer.state.save_to_json(str(folder / "trainer_state.json"))
    if tuned.save is not None:
        trainer.save_model(str(folder / "result"))
        tuned.save(str(folder / "result"))


def _compare(trainer: Any, request: TrainRequest, folder: Path) -> None:
    """Every adapter weight is in the files, bit for bit; of a whole model, as many numbers.

    A whole model is compared by its count, as saving splits experts that are one tensor in memory.
    """
    import torch
    from transformers import TrainerState

    torch.load(folder / "optimizer.pt", weights_only=True, mmap=True)
    TrainerState.load_from_json(str(folder / "trainer_state.json"))
    learning = {n: w for n, w in trainer.model.named_parameters() if w.requires_grad}
    read = list(_tensors(folder / "checkpoint"))
    if not request.plan.trainer.adapter_based:
        counted = sum(tensor.numel() for tensor in read)
        learns = sum(weight.numel() for weight in learning.values())
        if counted < learns:
            raise ValueError(f"{learns} numbers learn, and {counted} were saved")
        return
    kept = {_digest(tensor) for tensor in read}
    lost = [name for name, weight in learning.items() if _digest(weight) not in kept]
    if lost:
        raise ValueError(f"{len(lost)} weights that learn were not saved, such as {lost[0]}")


def _tensors(folder: Path) -> Iterator[Any]:
    from safetensors import safe_open

    for file in folder.glob("*.safetensors"):
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118
                yield tensors.get_tensor(name)


def _digest(tensor: Any) -> bytes:
    import torch

    plain = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
    return hashlib.blake2b(plain.numpy(), digest_size=16).digest()


def check_place(request: TrainRequest) -> None:
    """Raises HextuneError where checkpoints cannot be written or the disk has not the room.

    Planning may have been long ago. A resumed run needs room for one more checkpoint.
    """
    place = Path(request.folder) / "checkpoints"
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise fail("output-unwritable", folder=place, reason=reason) from error
    needed = checkpoint_bytes(request.plan)
    if not request.resume:
        needed = disk_bytes(request.spec, request.plan)
    free = shutil.disk_usage(place).free
    if free < needed:
        where, shown = place.parent, shown_bytes(needed)
        raise fail("output-disk-full", folder=where, free=shown_bytes(free), needed=shown)
