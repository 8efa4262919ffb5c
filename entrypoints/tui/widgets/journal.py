"""The run's last events, or the end of its worker's log."""

from collections.abc import Iterable

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from domain.events import JobEvent
from entrypoints.tui.event_lines import COLOURS, event_line
from entrypoints.tui.record import RunRecord
from entrypoints.tui.shown import Texts, clock

SHOWN_LINES = 200
"""Lines that can be scrolled back to."""


class Journal(VerticalScroll):
    """Lines, newest at the bottom; it stays at the bottom until scrolled away."""

    def __init__(self, texts: Texts) -> None:
        super().__init__(id="journal")
        self._texts = texts
        self.logging = False
        """Whether the worker's log is shown instead of events."""
        self._at_end = True

    def compose(self) -> ComposeResult:
        """One block of text."""
        yield Static(id="lines")

    def on_resize(self) -> None:
        """The bottom is elsewhere now."""
        self._stay()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Whoever scrolls away from the bottom wants to read there."""
        super().watch_scroll_y(old_value, new_value)
        self._at_end = self.is_vertical_scroll_end

    def show_events(self, record: RunRecord) -> None:
        """The last events of a run, each with the time since the first."""
        self.border_title = self._texts("tui.journal.events")
        start = record.first_at or 0.0
        self._write(self._event(event, start) for event in list(record.events)[-SHOWN_LINES:])

    def show_log(self, text: str | None) -> None:
        """The end of worker.log; of a line drawn over and over, what stands last."""
        self.border_title = self._texts("tui.journal.log")
        if not text:
            self._write([Content.styled(self._texts("tui.journal.no_log"), "$foreground 60%")])
            return
        lines = text.rstrip().split("\n")[-SHOWN_LINES:]
        self._write(Content(line.rstrip("\r").rpartition("\r")[2]) for line in lines)

    def _event(self, event: JobEvent, start: float) -> Content:
        return Content.assemble(
            (f"{clock(event.at - start):>8}  ", "$foreground 50%"),
            (event_line(self._texts, event), COLOURS.get(event.kind, "$foreground 80%")),
        )

    def _write(self, lines: Iterable[Content]) -> None:
        self.query_one("#lines", Static).update(Content("\n").join(lines))
        self._stay()

    def _stay(self) -> None:
        if self._at_end:
            self.call_after_refresh(self.scroll_end, animate=False)
