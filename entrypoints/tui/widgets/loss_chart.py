"""The loss over steps: readings, smoothed curve and held-out loss, drawn in braille dots."""

from itertools import groupby
from typing import NamedTuple

from rich.cells import cell_len
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from domain.metrics import SMOOTHING, Point, downsample, smooth
from entrypoints.tui.record import RunRecord
from entrypoints.tui.shown import Texts, fit
from entrypoints.tui.widgets.plot import DOTS_X, DOTS_Y, Axes, Braille, fitting_axes

LABEL_CELLS = 7
"""Room for the labels of the y axis."""
RAW, SMOOTHED, HELD_OUT = "$primary 45%", "$primary", "$accent"
GRID, LABEL = "$foreground 15%", "$foreground 60%"


class Cell(NamedTuple):
    """A drawn cell."""

    character: str
    style: str


class LossChart(Widget):
    """The chart; `log_scale` sets the scale of its y axis."""

    log_scale = reactive(False)

    def __init__(self, texts: Texts) -> None:
        super().__init__(id="chart")
        self._texts = texts
        self._record = RunRecord()

    def show(self, record: RunRecord) -> None:
        """Draw a run."""
        self._record = record
        self.border_title = self._legend()
        self.refresh()

    def watch_log_scale(self) -> None:
        """The legend names the scale."""
        self.border_title = self._legend()

    def render(self) -> Content:
        """The picture, as large as the widget."""
        columns = self.content_size.width - LABEL_CELLS - 1
        rows = self.content_size.height - 1
        if columns < DOTS_X or rows < 2:
            return Content("")
        series = (self._record.losses, self._record.evaluations)
        axes = fitting_axes(series, columns, rows, log=self.log_scale)
        if axes is None:
            return Content.styled("\n" * (rows // 2) + self._texts("tui.chart.empty"), LABEL)
        lines = [*self._picture(axes), self._foot(axes)]
        return Content("\n").join(_joined(line) for line in lines)

    def _legend(self) -> Content:
        scale = self._texts("tui.chart.log" if self.log_scale else "tui.chart.linear")
        return Content.assemble(
            (f"{self._texts('tui.chart.loss')}  ", "bold"),
            ("⠶ ", RAW),
            f"{self._texts('tui.chart.readings')}  ",
            ("━ ", SMOOTHED),
            f"{self._texts('tui.chart.smoothed', weight=SMOOTHING)}  ",
            ("◆ ", HELD_OUT),
            f"{self._texts('tui.chart.evaluation')}  ",
            (scale, LABEL),
        )

    def _picture(self, axes: Axes) -> list[list[Cell]]:
        raw = _drawn(axes, self._record.losses)
        curve = _drawn(axes, smooth(self._record.losses))
        marks = _marks(axes, self._record.evaluations)
        ticks = axes.ticks()
        lines = []
        for row in range(axes.rows):
            label = fit(ticks.get(row, ""), LABEL_CELLS, right=True)
            line = [Cell(label, LABEL), Cell("┤" if row in ticks else "│", GRID)]
            for column in range(axes.columns):
                grid = "┈" if row in ticks else " "
                line.append(
                    _mark(marks, column, row) or _curve(raw, curve, column, row) or Cell(grid, GRID)
                )
            lines.append(line)
        return lines

    def _foot(self, axes: Axes) -> list[Cell]:
        first = self._texts("tui.chart.step", step=int(axes.first))
        last = self._texts("tui.chart.step", step=int(axes.last))
        if axes.first == axes.last:
            last = ""
        room = max(0, axes.columns - cell_len(last))
        return [Cell(" " * (LABEL_CELLS + 1) + fit(first, room) + last, LABEL)]


def _drawn(axes: Axes, points: list[Point]) -> Braille:
    drawing = Braille(axes.columns, axes.rows)
    shown = [p for p in points if p.value > 0] if axes.log else points
    thin = downsample(shown, axes.columns * DOTS_X)
    drawing.line([axes.dot(point) for point in thin])
    return drawing


def _marks(axes: Axes, points: list[Point]) -> set[tuple[int, int]]:
    dots = [axes.dot(point) for point in downsample(points, axes.columns)]
    return {(x // DOTS_X, y // DOTS_Y) for x, y in dots}


def _mark(marks: set[tuple[int, int]], column: int, row: int) -> Cell | None:
    return Cell("◆", HELD_OUT) if (column, row) in marks else None


def _curve(raw: Braille, curve: Braille, column: int, row: int) -> Cell | None:
    """The smoothed curve lies over the readings; a cell has one colour."""
    smoothed = curve.character(column, row)
    if smoothed:
        return Cell(smoothed, SMOOTHED)
    reading = raw.character(column, row)
    return Cell(reading, RAW) if reading else None


def _joined(line: list[Cell]) -> Content:
    runs = groupby(line, key=lambda cell: cell.style)
    return Content.assemble(
        *(("".join(cell.character for cell in cells), style) for style, cells in runs)
    )
