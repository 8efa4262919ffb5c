"""One thread that owns the network: it lets requests in, steps every batch, and does other work.

Requests of one adapter make a batch; batches take turns, step by step. At most `SLOTS` rows are in
the batches together; up to `WAITING` more wait, in order, and the next one is told to come again.
"""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

import torch

from adapters.generation.batch import Batch, Row, Stepper
from domain.errors import fail

SLOTS = 32
"""Rows that are generated together."""
WAITING = 256
"""Requests that may wait for a slot."""
PROMPT_TOKENS = 2048
"""Padded prompt tokens that are read together."""

Switch = Callable[[str], None]
"""Makes the network answer as the model of this name from now on."""


class Scheduler:
    """Runs rows of any model name; every call comes from another thread than the network's."""

    def __init__(
        self, stepper: Stepper, switch: Switch, slots: int = SLOTS, waiting: int = WAITING
    ) -> None:
        self._stepper = stepper
        self._switch = switch
        self._slots = slots
        self._most_waiting = waiting
        self._waiting: deque[tuple[str, Row]] = deque()
        self._tasks: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._batches: dict[str, Batch] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="generation", daemon=True)
        self._thread.start()

    def submit(self, model: str, row: Row) -> None:
        """Let `row` wait for a slot. Raises HextuneError where too many wait, or it is closed."""
        with self._changed:
            self._check_open()
            if len(self._waiting) >= self._most_waiting:
                raise fail("engine-busy", waiting=len(self._waiting))
            self._waiting.append((model, row))
            self._changed.notify()

    def call(self, task: Callable[[], Any]) -> Any:
        """What `task` returns or raises, run between two steps by the network's thread."""
        done: Future[Any] = Future()
        with self._changed:
            self._check_open()
            self._tasks.append((task, done))
            self._changed.notify()
        return done.result()

    def close(self) -> None:
        """End every answer, and the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _check_open(self) -> None:
        if self._closed:
            raise fail("server-stopping")

    @property
    def running(self) -> int:
        """Rows that hold a slot."""
        return sum(len(batch.rows) for batch in self._batches.values())

    def _run(self) -> None:
        with torch.inference_mode():
            while self._wait():
                self._do_tasks()
                self._admit()
                # a batch without rows must not cost a switch of adapters
                busy = [(model, batch) for model, batch in self._batches.items() if batch.rows]
                for model, batch in busy:
                    self._guarded(model, batch.step, batch.rows)
        for _, row in self._waiting:
            row.mailbox.end()
        for batch in self._batches.values():
            for row in batch.rows:
                row.mailbox.end()

    def _wait(self) -> bool:
        """Wait until there is something to do; False once closed."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or self._waiting or self._tasks or self.running
            )
            return not self._closed

    def _do_tasks(self) -> None:
        while self._tasks:
            task, done = self._tasks.popleft()
            try:
                done.set_result(task())
            except Exception as error:  # it belongs to the caller, who waits for the result
                done.set_exception(error)

    def _admit(self) -> None:
        """Let those in that have waited longest, as many prompts at once as fit."""
        while group := self._next_group():
            model, rows = group
            batch = self._batches.setdefault(model, Batch(self._stepper))
            self._guarded(model, partial(batch.join, rows), [*batch.rows, *rows])

    def _next_group(self) -> tuple[str, list[Row]] | None:
        """(model, rows) that can be read together now."""
        rows: list[Row] = []
        model, widest = "", 0
        with self._changed:
            while self._waiting:
                name, row = self._waiting[0]
                if row.mailbox.cancelled:
                    self._waiting.popleft()
                    row.mailbox.end()
                    continue
                widest = max(widest, len(row.ids))
                if rows and not self._fits(rows, row, name == model, widest):
                    break
                if not rows and not self._has_slot(name):
                    break
                model = name
                rows.append(row)
                self._waiting.popleft()
        return (model, rows) if rows else None

    def _has_slot(self, model: str) -> bool:
        batch = self._batches.get(model)
        alone = batch is not None and batch.room is not None and batch.room < 1
        return self.running < self._slots and not alone

    def _fits(self, rows: list[Row], row: Row, same: bool, widest: int) -> bool:
        return (
            same
            and self._stepper.shared
            and rows[0].scores is None
            and row.scores is None
            and self.running + len(rows) < self._slots
            and widest * (len(rows) + 1) <= PROMPT_TOKENS
        )

    def _guarded(self, model: str, work: Callable[[], None], rows: list[Row]) -> None:
        """Do a batch's work; where it breaks, its answers end with the error and it starts anew."""
        try:
            self._switch(model)
            work()
        except Exception as error:  # it belongs to the readers, who raise it
            for row in rows:
                row.mailbox.fail(error)
            self._batches.pop(model, None)
