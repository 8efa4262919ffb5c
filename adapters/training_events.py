"""A transformers callback that turns what the trainer does into job events, and obeys a stop."""

import math
import os
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from domain.errors import fail
from domain.events import EventKind, stage_figures
from ports.trainer import Emit, TrainRequest

COMPLETE = "complete"
"""Name of the marker a checkpoint gets when all of it is on disk."""


class EventCallback(TrainerCallback):  # type: ignore[misc]
    """Emits steps, evaluations and checkpoints; saves and ends when asked to stop."""

    def __init__(self, request: TrainRequest, emit: Emit) -> None:
        self._request = request
        self._emit = emit
        self._began_s = time.monotonic()
        self._first_step = 0
        self._last = (time.monotonic(), 0)
        self.stopped = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Start the clock; steps done before a resume do not count for the speed."""
        self._began_s = time.monotonic()
        self._first_step = state.global_step
        self._last = (self._began_s, int(state.num_input_tokens_seen))

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Save and end if asked to, unless this was the last step anyway."""
        if self._request.stop_asked() and state.global_step < state.max_steps:
            self.stopped = True
            control.should_save = True
            control.should_training_stop = True

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any], **rest: Any
    ) -> None:
        """A training step's figures, or an evaluation's."""
        if "eval_loss" in logs:
            loss = float(logs["eval_loss"])
            plain = {name.removeprefix("eval_"): value for name, value in logs.items()}
            own = stage_figures(plain) or {"perplexity": math.exp(min(loss, 700.0))}
            self._emit(EventKind.EVALUATION, {"step": state.global_step, "loss": loss, **own})
        elif "loss" in logs:
            self._step(state, logs)

    def _step(self, state: Any, logs: dict[str, Any]) -> None:
        loss, step = float(logs["loss"]), int(state.global_step)
        if not math.isfinite(loss):
            raise fail("run-loss-not-finite", loss=loss, step=step)
        now, tokens = time.monotonic(), int(state.num_input_tokens_seen)
        (then, tokens_then), self._last = self._last, (now, tokens)
        per_step_s = (now - self._began_s) / max(step - self._first_step, 1)
        self._emit(
            EventKind.STEP,
            {
                "step": step,
                "total_steps": int(state.max_steps),
                "epoch": float(state.epoch or 0.0),
                "loss": loss,
                "learning_rate": float(logs["learning_rate"]),
                "grad_norm": float(logs["grad_norm"]),
                "tokens": tokens,
                "tokens_per_s": (tokens - tokens_then) / max(now - then, 1e-9),
                "eta_s": per_step_s * (state.max_steps - step),
                **stage_figures(logs),
            },
        )

    def on_save(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Mark the checkpoint complete once every file of it is on disk."""
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        for file in folder.iterdir():
            _to_disk(file)
        (folder / COMPLETE).touch()
        _to_disk(folder / COMPLETE)
        _to_disk(folder)
        where = f"checkpoints/{folder.name}"
        self._emit(EventKind.CHECKPOINT, {"step": int(state.global_step), "path": where})


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def newest_checkpoint(folder: Path) -> Path | None:
    """The complete checkpoint of the latest step; one without its marker is passed over."""
    complete = [path.parent for path in folder.glob(f"checkpoint-*/{COMPLETE}")]
    return max(complete, key=step_of, default=None)


def step_of(checkpoint: Path) -> int:
    """The optimizer step a checkpoint was written after."""
    return int(checkpoint.name.rpartition("-")[2])
