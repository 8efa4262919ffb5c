"""How long the rows are: a bar for each range of lengths, and one for all beyond the limit."""

from textual.content import Content
from textual.widget import Widget

from domain.data_report import DataReport, histogram
from entrypoints.tui.shown import Texts, fit

BLOCKS = "▏▎▍▌▋▊▉█"
"""One to eight eighths of a cell."""
FAINT, BAR, BEYOND = "$foreground 60%", "$primary", "$warning"
OVER = ">"
"""Stands before the limit where a bar counts what is longer."""
PERCENTILES = ("p50", "p95", "p100")
"""Those that have room."""


class LengthBars(Widget):
    """The histogram, as large as the widget."""

    def __init__(self, texts: Texts) -> None:
        super().__init__(id="lengths")
        self._texts = texts
        self._report: DataReport | None = None

    def show(self, report: DataReport) -> None:
        """Draw a report's lengths."""
        self._report = report
        self.border_title = Content(self._texts("tui.data.lengths", limit=f"{report.limit:,}"))
        self.refresh()

    def render(self) -> Content:
        """Bars, and under them the percentiles."""
        room = self.content_size.height - 1
        if self._report is None or not self._report.lengths or room < 2:
            return Content("")
        bars = _bars(self._report, room)
        left, right = max(len(name) for name, _ in bars), max(len(f"{n:,}") for _, n in bars)
        most = max(count for _, count in bars)
        cells = max(1, self.content_size.width - left - right - 2)
        lines = [
            Content.assemble(
                (f"{name:>{left}} ", FAINT),
                (fit(bar(count / most, cells), cells), BEYOND if name[0] == OVER else BAR),
                f" {count:>{right},}",
            )
            for name, count in bars
        ]
        shown = "  ".join(f"{name} {self._report.percentiles[name]:,}" for name in PERCENTILES)
        return Content("\n").join([*lines, Content.styled(shown, FAINT)])


def _bars(report: DataReport, room: int) -> list[tuple[str, int]]:
    """(range, count) of lengths within the limit, and one of all beyond, so that a single very
    long row leaves the others apart."""
    within = [length for length in report.lengths if length <= report.limit]
    beyond = len(report.lengths) - len(within)
    bins = histogram(within, room - 1 if beyond else room)
    bars = [
        (f"{low:,}–{high:,}" if high > low else f"{low:,}", count)
        for low, high, count in ((low, min(high, report.limit), count) for low, high, count in bins)
    ]
    return [*bars, (f"{OVER}{report.limit:,}", beyond)] if beyond else bars


def bar(share: float, cells: int) -> str:
    """A bar over a share of so many cells; any share above nothing is seen."""
    eighths = max(round(share * cells * 8), 1 if share else 0)
    full, rest = divmod(eighths, 8)
    return BLOCKS[-1] * full + (BLOCKS[rest - 1] if rest else "")
