"""A transformers callback that turns what the trainer does into job events, and obeys a stop."""

import math
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from adapters.best_weights import keep_best
from adapters.checkpointing import clear_after, rotate, seal
from adapters.finite_guard import FiniteGuard
from adapters.held_out import Measured, evaluations, is_evaluation, sources, standing_of
from adapters.parallel.agreement import wait_for_all
from domain.alerts import SpikeWatch
from domain.events import EventKind, stage_figures
from domain.fingerprint import Json
from ports.trainer import Emit, TrainRequest


class EventCallback(TrainerCallback):  # type: ignore[misc]
    """Emits steps, evaluations and checkpoints; saves and ends when asked to stop."""

    def __init__(self, request: TrainRequest, emit: Emit, guard: FiniteGuard) -> None:
        self._request = request
        self._emit = emit
        self._guard = guard
        self._spikes = SpikeWatch()
        self._began_s = time.monotonic()
        self._first_step = 0
        self._last = (time.monotonic(), 0)
        self.stopped = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Start the clock, after steps done before a resume; what is unusable of them goes."""
        self._began_s = time.monotonic()
        self._first_step = state.global_step
        self._last = (self._began_s, int(state.num_input_tokens_seen))
        if state.is_world_process_zero:
            clear_after(Path(args.output_dir), int(state.global_step))

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Save and end if asked to, unless this was the last step anyway."""
        if self._request.stop_asked() and state.global_step < state.max_steps:
            self.stopped = True
            control.should_save = True
            control.should_training_stop = True

    def on_log(
        self,
        args: Any,
        state: Any,
        control: Any,
        logs: dict[str, Any],
        model: Any = None,
        **rest: Any,
    ) -> None:
        """A training step's figures, or an evaluation's once all its sets are measured."""
        if is_evaluation(logs):
            found = evaluations(state.log_history, self._request.data.eval)
            logged = sum(map(is_evaluation, state.log_history))
            if logged == len(found) * max(len(sources(self._request.data.eval)), 1):
                self._evaluated(found, state, control, model)
        elif "loss" in logs:
            self._step(state, logs)

    def _evaluated(self, found: list[Measured], state: Any, control: Any, model: Any) -> None:
        tracking, newest = self._request.spec.tracking, found[-1]
        stands = standing_of(found, tracking.best_by)
        best = stands.since == 0
        data: dict[str, Json] = {"step": newest.step, **newest.figures, "best": best}
        if newest.sources:
            data["sources"] = {name: dict(each) for name, each in newest.sources.items()}
        self._emit(EventKind.EVALUATION, data)
        if best and self._request.spec.output.keep_best and state.is_world_process_zero:
            keep_best(model, Path(self._request.folder) / "checkpoints", newest.step)
        stops = tracking.early_stopping
        if stops and standing_of(found, tracking.best_by, stops.min_delta).since >= stops.patience:
            control.should_training_stop = True
            control.should_save = False  # a run that resumed from here would go on

    def _step(self, state: Any, logs: dict[str, Any]) -> None:
        loss, step = float(logs["loss"]), int(state.global_step)
        norm = float(logs["grad_norm"])
        if not math.isfinite(loss):
            raise self._guard.error(loss, step)
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
                "grad_norm": norm,
                "tokens": tokens,
                "tokens_per_s": (tokens - tokens_then) / max(now - then, 1e-9),
                "eta_s": per_step_s * (state.max_steps - step),
                **stage_figures(logs),
            },
        )
        for alert in self._spikes.read(step, loss, norm):
            self._emit(EventKind.WARNING, alert.as_json())

    def on_save(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Mark the checkpoint complete once every file of it is on disk; then older ones go."""
        wait_for_all()  # each rank writes files of its own
        if not state.is_world_process_zero:
            return
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        seal(folder)
        where = f"checkpoints/{folder.name}"
        self._emit(EventKind.CHECKPOINT, {"step": int(state.global_step), "path": where})
        rotate(Path(args.output_dir), self._request.spec.output.keep_checkpoints)
