"""The monitor: the list of runs, and the run that is watched.

Reading happens in threads. Events arrive through a queue that is emptied ten times a second, so
that a long finished run costs one redraw, not one for every event.
"""

from collections.abc import Callable, Sequence
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input, OptionList
from textual.worker import Worker, get_current_worker

from domain.errors import HextuneError, fail
from domain.events import JobEvent
from domain.job import JobKind
from entrypoints.tui.data_reading import DataReader
from entrypoints.tui.keys import Scope, bindings, of_scope
from entrypoints.tui.record import RunRecord
from entrypoints.tui.runs import RunReader, RunRow
from entrypoints.tui.screens.help import HelpScreen
from entrypoints.tui.screens.stop import Answer, StopScreen
from entrypoints.tui.shown import Texts
from entrypoints.tui.widgets.key_bar import KeyBar
from entrypoints.tui.widgets.run_list import RunList
from entrypoints.tui.widgets.run_view import RunView

if TYPE_CHECKING:
    from entrypoints.container import Container

LOOK_S = 1.0
"""Seconds between two readings of the runs."""
DRAW_S = 0.1
"""Seconds between two drawings of what has arrived."""
WIDE_CELLS = 110
"""Width from which the list and the run stand side by side."""


class RunsRead(Message):
    """The runs were read."""

    def __init__(self, rows: Sequence[RunRow]) -> None:
        super().__init__()
        self.rows = rows


class LogRead(Message):
    """The log of a run was read."""

    def __init__(self, name: str, text: str | None) -> None:
        super().__init__()
        self.name = name
        self.text = text


class Done(Message):
    """Something asked for was done."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


class Trouble(Message):
    """Something could not be done."""

    def __init__(self, error: HextuneError) -> None:
        super().__init__()
        self.error = error


class MonitorScreen(Screen[None]):
    """List and run, side by side or, on a narrow screen, one at a time."""

    BINDINGS = bindings(Scope.MONITOR)  # type: ignore[assignment]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE_CELLS, "-wide")]  # noqa: RUF012

    def __init__(self, container: "Container", texts: Texts, run: str | None) -> None:
        super().__init__()
        self._container = container
        self._texts = texts
        self._wanted = run
        self._reader = RunReader(container)
        self._data = DataReader(container)
        self._rows: Sequence[RunRow] = ()
        self._watched: RunRow | None = None
        self._record = RunRecord()
        self._inbox: SimpleQueue[JobEvent] = SimpleQueue()
        self._looking: Worker[None] | None = None
        self._following: Worker[None] | None = None

    def compose(self) -> ComposeResult:
        """List, run, keys."""
        with Horizontal():
            yield RunList(self._texts)
            yield RunView(self._texts)
        yield KeyBar(self._texts, of_scope(Scope.MONITOR))

    @property
    def record(self) -> RunRecord:
        """What the events of the watched run add up to."""
        return self._record

    @property
    def runs(self) -> RunList:
        """The list."""
        return self.query_one(RunList)

    @property
    def view(self) -> RunView:
        """The watched run."""
        return self.query_one(RunView)

    def on_mount(self) -> None:
        """Look now, and then again and again."""
        self.runs.options.focus()
        self.set_interval(LOOK_S, self._look)
        self.set_interval(DRAW_S, self._draw)
        self._look()
        self._retitle()

    # -- reading, in threads ------------------------------------------------------------------
    def _look(self) -> None:
        """Read the runs, unless the last reading is still going on."""
        if self._looking is None or self._looking.is_finished:
            self._looking = self.run_worker(self._read, thread=True, group="look")

    def _read(self) -> None:
        try:
            if not self._rows:
                self.post_message(RunsRead(self._reader.listed()))
            self.post_message(RunsRead(self._reader.read()))
            if self._watched is not None and self.view.journal.logging:
                job = self._watched.job
                log = self._container.jobs().read_text(job, "worker.log")
                self.post_message(LogRead(job.id, log))
        except HextuneError as error:
            self.post_message(Trouble(error))

    def _follow(self, name: str, after_seq: int, inbox: SimpleQueue[JobEvent]) -> None:
        """Put the events of a run into `inbox` until it ends or another run is watched."""
        worker = get_current_worker()
        watch = self._container.watch_run()
        try:
            for event in watch(name, after_seq, gone=lambda: worker.is_cancelled):
                inbox.put(event)
        except HextuneError as error:
            self.post_message(Trouble(error))

    def _watch_on(self, row: RunRow) -> None:
        """Follow a run's events from the last one known."""
        self._following = self.run_worker(
            partial(self._follow, row.job.id, self._record.seq, self._inbox),
            thread=True,
            group="follow",
            exclusive=True,
        )

    def _ask(self, work: Callable[[], object], done: str) -> None:
        """Do something in a thread, then say so."""

        def attempt() -> None:
            try:
                work()
            except HextuneError as error:
                self.post_message(Trouble(error))
            else:
                self.post_message(Done(done))

        self.run_worker(attempt, thread=True, group="ask")

    # -- what arrived -------------------------------------------------------------------------
    @on(RunsRead)
    def _runs_read(self, message: RunsRead) -> None:
        self._rows = message.rows
        self.runs.show(message.rows, self._container.surroundings().now())
        if self._wanted is not None:
            self._open_wanted(self._wanted)
        row = self.runs.selected
        if row is None or self._watched is None or row.job.id != self._watched.job.id:
            return
        self._watched = row
        self.view.show(row)
        self._dim_keys()
        if not row.job.status.ended and self._following and self._following.is_finished:
            self._watch_on(row)

    def _open_wanted(self, name: str) -> None:
        self._wanted = None
        if all(row.job.id != name for row in self._rows):
            self.report(fail("run-missing", name=name, folder=self._container.config.runs()))
            return
        self.runs.choose(name)
        self.action_open()

    @on(LogRead)
    def _log_read(self, message: LogRead) -> None:
        if self._watched is not None and message.name == self._watched.job.id:
            self.view.show_log(message.text)

    @on(Done)
    def _done(self, message: Done) -> None:
        self.notify(message.text, markup=False)
        self._look()

    @on(Trouble)
    def _trouble(self, message: Trouble) -> None:
        self.report(message.error)

    @on(OptionList.OptionHighlighted)
    def _highlighted(self) -> None:
        row = self.runs.selected
        if row is None or (self._watched is not None and self._watched.job.id == row.job.id):
            return
        self._watched, self._record, self._inbox = row, RunRecord(), SimpleQueue()
        spec = self._container.jobs().read_text(row.job, "spec.json")
        self.view.open(row, spec, self._record)
        self._watch_on(row)
        self._look()
        self._dim_keys()

    @on(OptionList.OptionSelected)
    def _selected(self) -> None:
        self.action_open()

    @on(Input.Changed)
    def _filter_changed(self) -> None:
        self.runs.show(self._rows, self._container.surroundings().now())

    @on(Input.Submitted)
    def _filter_done(self) -> None:
        self.runs.options.focus()

    def _draw(self) -> None:
        """Take in the events that arrived; look again at a run that has ended."""
        if self._watched is None or self._inbox.empty():
            return
        ended = False
        while not self._inbox.empty():
            event = self._inbox.get_nowait()
            self._record.add(event)
            ended = event.kind.ends
        self.view.show(self._watched)
        if ended:
            self._look()

    # -- keys ---------------------------------------------------------------------------------
    def action_open(self) -> None:
        """The run alone on the screen, or beside the list again."""
        self.toggle_class("-open")
        alone = self.has_class("-open")
        (self.view.journal if alone else self.runs.options).focus()

    def action_back(self) -> None:
        """Out of the filter, or back to the list."""
        if self.runs.filter.has_focus or self.runs.filter.value:
            self.runs.filter.value = ""
            self.remove_class("-filter")
        else:
            self.remove_class("-open")
        self.runs.options.focus()

    def action_filter(self) -> None:
        """Type what runs to show."""
        self.remove_class("-open")
        self.add_class("-filter")
        self.runs.filter.focus()

    def action_stop(self) -> None:
        """Ask, then stop the run."""
        row = self._chosen()
        if row is None:
            return
        name, status = row.job.id, row.job.status
        if status.ended:
            self.report(fail("run-not-running", name=name, status=status.value))
            return
        self.app.push_screen(StopScreen(self._texts, name, self._record), partial(self._stop, name))

    def _stop(self, name: str, answer: Answer | None) -> None:
        if answer in (Answer.SAVE, Answer.KILL):
            now = answer is Answer.KILL
            said = self._texts("tui.said.killed" if now else "tui.said.stopping", name=name)
            self._ask(lambda: self._container.stop_run()(name, now=now), said)

    def action_resume(self) -> None:
        """Hand the run to a worker again."""
        row = self._chosen()
        if row is not None:
            name = row.job.id
            said = self._texts("tui.said.resumed", name=name)
            self._ask(lambda: self._container.resume_run()(name), said)

    def action_log(self) -> None:
        """Log or events."""
        if self._chosen() is not None:
            self.view.journal.logging = not self.view.journal.logging
            self.view.show_journal()
            self._look()

    def action_data(self) -> None:
        """The rows the run trains on."""
        from entrypoints.tui.screens.data import DataScreen

        row = self._chosen()
        if row is not None and row.job.kind is JobKind.EVALUATE:
            self.report(fail("run-is-evaluation", name=row.job.id))
        elif row is not None and row.job.kind is not JobKind.TRAIN:
            self.report(fail("run-not-training", name=row.job.id, kind=row.job.kind.value))
        elif row is not None:
            self.app.push_screen(DataScreen(self._texts, row.job, self._data))

    def action_scale(self) -> None:
        """Logarithmic or linear loss."""
        if self._chosen() is not None:
            self.view.chart.log_scale = not self.view.chart.log_scale

    def action_language(self) -> None:
        """The next language."""
        self._texts.turn()
        self._retitle()
        self.runs.show(self._rows, self._container.surroundings().now())
        if self._watched is not None:
            self.view.show(self._watched)

    def action_help(self) -> None:
        """Every key."""
        self.app.push_screen(HelpScreen(self._texts))

    def action_quit(self) -> None:
        """Leave; runs go on."""
        self.app.exit()

    # -- saying things ------------------------------------------------------------------------
    def report(self, error: HextuneError) -> None:
        """Say what is wrong and what to do, in the chosen language."""
        for found in error.problems:
            message, hint = self._texts.problem(found)
            self.notify(hint, title=message, severity="error", markup=False)

    def _chosen(self) -> RunRow | None:
        if self._watched is None:
            self.notify(self._texts("tui.said.no_run"), severity="warning", markup=False)
        return self._watched

    def _retitle(self) -> None:
        self.app.title = self._texts("tui.title")
        self._dim_keys()

    def _dim_keys(self) -> None:
        """Keys that make no sense for the run stay there, dim."""
        status = self._watched.job.status if self._watched else None
        allowed = {
            "stop": status is not None and not status.ended,
            "resume": status is not None and status.resumable,
            "log": status is not None,
            "data": self._watched is not None and self._watched.job.kind is JobKind.TRAIN,
            "scale": status is not None,
            "open": status is not None,
        }
        self.query_one(KeyBar).show([name for name, fine in allowed.items() if not fine])
