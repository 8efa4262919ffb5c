"""Checkpoints on disk: marked when whole, verified before use, the oldest removed."""

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from domain.checkpoint import FileMark, damage
from domain.errors import Problem, problem

COMPLETE = "complete"
"""Name of the marker a checkpoint gets when all of it is on disk."""


def seal(checkpoint: Path) -> None:
    """Wait for the disk, read every file back, and write what they hold into the marker."""
    files = _files(checkpoint)
    for file in files:
        to_disk(file)
    marker = checkpoint / COMPLETE
    marks = {name: mark.as_json() for name, mark in _marks(checkpoint, files).items()}
    beside = marker.with_name(f".{COMPLETE}")
    beside.write_text(json.dumps(marks, indent=1), encoding="utf-8")
    to_disk(beside)
    beside.replace(marker)
    to_disk(checkpoint)


def newest_usable(folder: Path) -> tuple[Path | None, list[Problem]]:
    """(the latest checkpoint that is whole, a warning for each that is passed over)."""
    passed: list[Problem] = []
    for checkpoint in sorted(folder.glob("checkpoint-*"), key=step_of, reverse=True):
        found = defect(checkpoint)
        if found is None:
            return checkpoint, passed
        passed.append(problem("run-checkpoint-damaged", step=step_of(checkpoint), reason=found))
    return None, passed


def clear_after(folder: Path, step: int) -> None:
    """Remove checkpoints of later steps: new files must not mix with half-written ones there."""
    for checkpoint in folder.glob("checkpoint-*"):
        if step_of(checkpoint) > step:
            remove(checkpoint)


def defect(checkpoint: Path) -> str | None:
    """Why a checkpoint cannot be used, or None."""
    marker = checkpoint / COMPLETE
    if not marker.exists():
        return "it was not written to its end"
    text = marker.read_text(encoding="utf-8") or "{}"  # markers were empty once
    recorded = {name: FileMark(**mark) for name, mark in json.loads(text).items()}
    files = [file for file in _files(checkpoint) if _name(checkpoint, file) in recorded]
    sizes = {
        name: FileMark(size, recorded[name].blake2b)
        for name, size in ((_name(checkpoint, file), file.stat().st_size) for file in files)
    }
    return damage(recorded, sizes) or damage(recorded, _marks(checkpoint, files))


def rotate(folder: Path, keep: int) -> None:
    """Remove all whole checkpoints but the latest `keep`."""
    whole = sorted((path.parent for path in folder.glob(f"checkpoint-*/{COMPLETE}")), key=step_of)
    for checkpoint in whole[:-keep]:
        remove(checkpoint)


def remove(checkpoint: Path) -> None:
    """Remove a checkpoint, its marker first: what is left of a removal cut short is not whole."""
    (checkpoint / COMPLETE).unlink(missing_ok=True)
    shutil.rmtree(checkpoint)


def step_of(checkpoint: Path) -> int:
    """The optimizer step a checkpoint was written after."""
    return int(checkpoint.name.rpartition("-")[2])


def to_disk(path: Path) -> None:
    """Wait until a file or folder is on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _files(checkpoint: Path) -> list[Path]:
    """All files but the marker."""
    return sorted(
        path
        for path in checkpoint.rglob("*")
        if path.is_file() and path.name not in (COMPLETE, f".{COMPLETE}")
    )


def _name(checkpoint: Path, file: Path) -> str:
    return file.relative_to(checkpoint).as_posix()


def _marks(checkpoint: Path, files: Sequence[Path]) -> dict[str, FileMark]:
    """Size and hash of each file; about 1 GB/s for each core, as hashing frees the interpreter."""
    with ThreadPoolExecutor() as pool:
        found = pool.map(_mark, files)
        return {_name(checkpoint, file): mark for file, mark in zip(files, found, strict=True)}


def _mark(file: Path) -> FileMark:
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, lambda: hashlib.blake2b(digest_size=16))
        return FileMark(content.tell(), digest.hexdigest())
