"""The list of runs, newest first: one line a run where there is room, two where there is not."""

from collections.abc import Sequence

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from entrypoints.tui.runs import RunRow, matches
from entrypoints.tui.shown import MARKS, Texts, age, fit, number

ONE_LINE_CELLS = 66
"""Width from which a run takes one line."""
MARK, STATUS, STEP, LOSS, AGE = 2, 11, 10, 8, 8
"""Widths of the columns, in cells."""
FAINT = "$foreground 60%"


class RunList(Vertical):
    """Runs to choose from, and a filter over them."""

    def __init__(self, texts: Texts) -> None:
        super().__init__(id="runs")
        self._texts = texts
        self._rows: Sequence[RunRow] = ()
        self._shown: dict[str, RunRow] = {}
        self._now = 0.0

    def compose(self) -> ComposeResult:
        """Filter, heading, list."""
        yield Input(id="filter", compact=True)
        yield Static(id="heading")
        yield OptionList(id="list", markup=False, compact=True)

    @property
    def options(self) -> OptionList:
        """The list itself."""
        return self.query_one("#list", OptionList)

    @property
    def filter(self) -> Input:
        """The filter."""
        return self.query_one("#filter", Input)

    @property
    def selected(self) -> RunRow | None:
        """The highlighted run."""
        option = self.options.highlighted_option
        return self._shown.get(option.id or "") if option else None

    def on_resize(self, event: events.Resize) -> None:
        """Lines are as wide as the list."""
        self.show(self._rows, self._now)

    def show(self, rows: Sequence[RunRow], now: float) -> None:
        """Write the list again; the highlighted run stays highlighted."""
        self._rows, self._now = rows, now
        chosen = self.selected
        self._shown = {row.job.id: row for row in rows if self._wanted(row)}
        prompts = {name: self._prompt(row) for name, row in self._shown.items()}
        if [option.id for option in self.options.options] == list(prompts):
            for name, prompt in prompts.items():
                self.options.replace_option_prompt(name, prompt)
        else:
            self.options.set_options(Option(text, id=name) for name, text in prompts.items())
            self.choose(chosen.job.id if chosen else "")
        self._write_heading()

    def choose(self, name: str) -> None:
        """Highlight a run by id; the newest where there is no such run."""
        if self._shown:
            found = name in self._shown
            self.options.highlighted = self.options.get_option_index(name) if found else 0

    def _wanted(self, row: RunRow) -> bool:
        return matches(row, self.filter.value, self._texts(f"status.{row.job.status.value}"))

    @property
    def _width(self) -> int:
        return self.options.scrollable_content_region.width - 2

    @property
    def _name_width(self) -> int:
        """Width of a run's id where it shares its line, with two cells after it."""
        return self._width - MARK - STATUS - STEP - LOSS - AGE - 2

    def _prompt(self, row: RunRow) -> Content:
        mark, colour = MARKS[row.job.status]
        status = fit(self._texts(f"status.{row.job.status.value}"), STATUS)
        rest = fit(row.steps, STEP, right=True)
        rest += fit(number(row.loss, ".4f"), LOSS, right=True)
        rest += fit(age(self._texts, self._now - row.job.created_at), AGE, right=True)
        if self._width >= ONE_LINE_CELLS:
            name = fit(row.title, self._name_width) + "  "
        else:
            name = fit(row.title, max(self._width - MARK, 1)) + "\n" + " " * MARK
        return Content.assemble((f"{mark} ", colour), name, (status, colour), (rest, FAINT))

    def _write_heading(self) -> None:
        """Column names, or why there is nothing to see."""
        heading = self.query_one("#heading", Static)
        self.border_title = self._texts("tui.list.title", shown=len(self._shown))
        self.filter.placeholder = self._texts("tui.list.filter")
        if not self._shown:
            heading.update(self._texts("tui.list.no_match" if self._rows else "tui.list.empty"))
        elif self._width >= ONE_LINE_CELLS:
            text = "  " + fit(self._texts("tui.list.run"), self._name_width) + "  "
            text += fit(self._texts("tui.list.status"), STATUS)
            text += fit(self._texts("tui.list.step"), STEP, right=True)
            text += fit(self._texts("tui.list.loss"), LOSS, right=True)
            heading.update(text + fit(self._texts("tui.list.age"), AGE, right=True))
        heading.display = not self._shown or self._width >= ONE_LINE_CELLS
