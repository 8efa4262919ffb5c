"""A thread that notices when a run has stopped moving, and has every thread say where it is."""

import faulthandler
import sys
import threading
import time
from types import TracebackType
from typing import Any, Self

from transformers import TrainerCallback

from domain.errors import problem
from domain.events import EventKind
from ports.trainer import Emit

POLL_SHARE = 8
"""Looks in the time after which a run counts as stalled."""


class Watchdog(TrainerCallback):  # type: ignore[misc]
    """Dumps all stacks to the log and warns, once for each time nothing moves for so long."""

    def __init__(self, stall_after_s: float, emit: Emit) -> None:
        self._stall_after_s = stall_after_s
        self._emit = emit
        self._step = 0
        self._moved_at_s = time.monotonic()
        self._told = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> Self:
        self._moved()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """A step is done."""
        self._step = int(state.global_step)
        self._moved()

    def on_prediction_step(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """A batch of an evaluation is done."""
        self._moved()

    def on_save(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """A checkpoint is written."""
        self._moved()

    def _moved(self) -> None:
        self._moved_at_s, self._told = time.monotonic(), False

    def _watch(self) -> None:
        while not self._ended.wait(self._stall_after_s / POLL_SHARE):
            still_s = time.monotonic() - self._moved_at_s
            if still_s < self._stall_after_s or self._told:
                continue
            self._told = True
            faulthandler.dump_traceback(file=sys.__stderr__ or 2, all_threads=True)
            found = problem("run-stalled", seconds=round(still_s), step=self._step)
            self._emit(EventKind.WARNING, found.as_json())
