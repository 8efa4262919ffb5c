"""Checkpoints: what their marker records of every file, how damage shows, and the room they take.

The marker is written after everything else is on disk; a checkpoint without it is half-written.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from domain.precision import BYTES
from domain.run_plan import RunPlan
from domain.run_spec import RunSpec

LOGS_AND_REPORT_BYTES = 32 * 1024**2
"""Room for events, logs, the tokenizer and the report of a run."""


@dataclass(frozen=True, slots=True)
class FileMark:
    """What a file of a checkpoint is known by."""

    size_bytes: int
    blake2b: str
    """Hex digits of its hash (RFC 7693)."""

    def as_json(self) -> dict[str, object]:
        """Plain JSON values."""
        return asdict(self)


def damage(recorded: Mapping[str, FileMark], found: Mapping[str, FileMark]) -> str | None:
    """What is wrong with the files of a checkpoint, or None. Files beyond the record are nothing.

    `found` may leave out hashes it has no need to compute: sizes are compared first.
    """
    for name, mark in recorded.items():
        if name not in found:
            return f"{name} is missing"
        if found[name].size_bytes != mark.size_bytes:
            return f"{name} has {found[name].size_bytes} of {mark.size_bytes} bytes"
        if found[name].blake2b != mark.blake2b:
            return f"{name} holds other bytes than were written"
    return None


def checkpoint_bytes(plan: RunPlan) -> int:
    """Bytes of one checkpoint: the weights that learn and the optimizer's states."""
    return _trained_bytes(plan) + plan.memory.optimizer


def disk_bytes(spec: RunSpec, plan: RunPlan) -> int:
    """Bytes a run writes: kept checkpoints, one being written, the result, the best, logs."""
    results = 2 if spec.output.keep_best else 1
    kept = (spec.output.keep_checkpoints + 1) * checkpoint_bytes(plan)
    return kept + results * _trained_bytes(plan) + LOGS_AND_REPORT_BYTES


def _trained_bytes(plan: RunPlan) -> int:
    return plan.trainer.trainable * BYTES[plan.precision.trainable]
