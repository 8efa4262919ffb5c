"""What a run trains on: the account of its rows, their lengths, and each row, token by token.

Reading a large data set cannot be cut off. It happens in daemon threads, which hold up nobody who
leaves this screen or the monitor.
"""

import time
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Static

from domain.data_report import DataReport
from domain.errors import HextuneError, fail
from domain.job import Job
from entrypoints.tui.data_reading import CHUNK_ROWS, DataReader
from entrypoints.tui.keys import Scope, bindings, of_scope
from entrypoints.tui.shown import Texts, clock
from entrypoints.tui.widgets.data_account import DataAccount
from entrypoints.tui.widgets.key_bar import KeyBar
from entrypoints.tui.widgets.length_bars import LengthBars
from entrypoints.tui.widgets.row_pane import RowPane

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrypoints.services.inspect_data import ShownRow


class Part(StrEnum):
    """What is read."""

    ROWS = "rows"
    REPORT = "report"


class RowsRead(Message):
    """More rows were read."""

    def __init__(self, rows: "Sequence[ShownRow]") -> None:
        super().__init__()
        self.rows = rows


class ReportMade(Message):
    """All rows were read."""

    def __init__(self, report: DataReport) -> None:
        super().__init__()
        self.report = report


class Failed(Message):
    """Something could not be read."""

    def __init__(self, part: Part, error: HextuneError) -> None:
        super().__init__()
        self.part = part
        self.error = error


class DataScreen(Screen[None]):
    """In place of the monitor, until left."""

    BINDINGS = bindings(Scope.DATA)  # type: ignore[assignment]

    def __init__(self, texts: Texts, job: Job, reader: DataReader) -> None:
        super().__init__()
        self._texts = texts
        self._job = job
        self._reader = reader
        self._rows: list[ShownRow] = []
        self._at = 0
        self._complete = False
        self._ids = False
        self._waiting: set[Part] = set()
        self._since = 0.0

    def compose(self) -> ComposeResult:
        """Account and lengths above, a row below, then what goes on, and the keys."""
        with Horizontal(id="top"):
            yield DataAccount(self._texts)
            yield LengthBars(self._texts)
        yield RowPane(self._texts)
        yield Static(id="busy", markup=False)
        yield KeyBar(self._texts, of_scope(Scope.DATA))

    @property
    def account(self) -> DataAccount:
        """The account."""
        return self.query_one(DataAccount)

    @property
    def lengths(self) -> LengthBars:
        """The histogram."""
        return self.query_one(LengthBars)

    @property
    def pane(self) -> RowPane:
        """The row."""
        return self.query_one(RowPane)

    def on_mount(self) -> None:
        """Read the first rows, then everything."""
        self.account.border_title = Content(self._texts("tui.data.title", name=self._job.id))
        self.pane.focus()
        self._read_rows()
        self._read(Part.REPORT, lambda: ReportMade(self._reader.report(self._job)))
        self.set_interval(1, self._show_state)

    # -- reading, in threads ------------------------------------------------------------------
    def _read_rows(self) -> None:
        first = self._count + 1
        self._read(Part.ROWS, lambda: RowsRead(self._reader.rows(self._job, first)))

    def _read(self, part: Part, read: Callable[[], Message]) -> None:
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.add(part)
        self._show_state()
        Thread(target=partial(self._attempt, part, read), daemon=True).start()

    def _attempt(self, part: Part, read: Callable[[], Message]) -> None:
        try:
            self.post_message(read())
        except HextuneError as error:
            self.post_message(Failed(part, error))
        except Exception as error:  # the thread's end: nobody else would hear of it
            reason, spec = f"{type(error).__name__}: {error}", f"{self._job.folder}/spec.json"
            self.post_message(Failed(part, fail("unexpected", reason=reason, log=spec)))

    # -- what arrived -------------------------------------------------------------------------
    @on(RowsRead)
    def _rows_read(self, message: RowsRead) -> None:
        before, known = self._count, len(self._rows)
        self._rows += message.rows
        self._complete = self._count - before < CHUNK_ROWS
        if 0 < known < len(self._rows):
            self._at = known
        self._arrived(Part.ROWS)
        self._show_row()

    @on(ReportMade)
    def _report_made(self, message: ReportMade) -> None:
        self.account.show(message.report)
        self.lengths.show(message.report)
        self._arrived(Part.REPORT)

    @on(Failed)
    def _failed(self, message: Failed) -> None:
        """A report fails only where rows do, and says why for both."""
        if message.part is Part.REPORT:
            self.lengths.display = self.pane.display = False
            self.account.write(self._reasons(message.error))
        else:
            self._complete = True
            self.pane.write(self._reasons(message.error))
        self._arrived(message.part)

    def _arrived(self, part: Part) -> None:
        self._waiting.discard(part)
        self._show_state()

    # -- keys ---------------------------------------------------------------------------------
    def action_next(self) -> None:
        """The next row, which may have to be read."""
        if self._at + 1 < len(self._rows):
            self._turn_to(self._at + 1)
        elif not self._complete and Part.ROWS not in self._waiting:
            self._read_rows()

    def action_previous(self) -> None:
        """The row before."""
        if self._at > 0:
            self._turn_to(self._at - 1)

    def action_ids(self) -> None:
        """With ids, or without."""
        self._ids = not self._ids
        if self._rows:
            self._show_row()

    def action_leave(self) -> None:
        """Back to the monitor."""
        self.dismiss()

    # -- saying things ------------------------------------------------------------------------
    @property
    def _count(self) -> int:
        """Rows read so far; the two answers of a preference are one."""
        return _row_number(self._rows)

    def _turn_to(self, at: int) -> None:
        self._at = at
        self._show_row()
        self.pane.scroll_home(animate=False)

    def _show_row(self) -> None:
        if not self._rows:
            self.pane.write(Content(self._texts("tui.data.no_rows")))
            return
        number = _row_number(self._rows[: self._at + 1])
        count = f"{self._count}" if self._complete else f"{self._count}+"
        place = self._texts("tui.data.row", number=number, count=count)
        self.pane.show(self._rows[self._at], place, ids=self._ids)
        self._dim_keys()

    def _show_state(self) -> None:
        busy = self.query_one("#busy", Static)
        busy.display = bool(self._waiting)
        spent = clock(time.monotonic() - self._since)
        busy.update(self._texts("tui.data.busy", time=spent))
        self._dim_keys()

    def _dim_keys(self) -> None:
        allowed = {
            "previous": self._at > 0,
            "next": self._at + 1 < len(self._rows) or not self._complete,
            "ids": bool(self._rows),
        }
        self.query_one(KeyBar).show([name for name, fine in allowed.items() if not fine])

    def _reasons(self, error: HextuneError) -> Content:
        """Each problem: where it is, what it is, its code, and what to do."""
        parts = []
        for found in error.problems:
            message, hint = self._texts.problem(found)
            where = f"{found.place}: " if str(found.place) else ""
            parts.append(
                Content.assemble(
                    ("✖ ", "bold $error"),
                    (where, "$foreground 60%"),
                    (message, "bold"),
                    (f" [{found.code}]", "$foreground 60%"),
                    f"\n  {hint}",
                )
            )
        return Content("\n\n").join(parts)


def _row_number(rows: "Sequence[ShownRow]") -> int:
    return sum(row.answer != "rejected" for row in rows)
