"""One run: what it is, how far it is, its figures, its curve, and its last events or log."""

import json
from collections.abc import Mapping
from typing import Any

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from domain.metrics import AlertKind, find_alerts
from entrypoints.tui.record import RunRecord
from entrypoints.tui.runs import RunRow
from entrypoints.tui.shown import MARKS, Texts, clock, figure, fit, number
from entrypoints.tui.widgets.journal import Journal
from entrypoints.tui.widgets.loss_chart import LossChart

FAINT = "$foreground 60%"
HASH_DIGITS = 12
"""Digits of the spec's hash that are shown."""
FULL, HALF, REST = "━", "╸", "━"


class RunView(Vertical):
    """The run that is watched."""

    def __init__(self, texts: Texts) -> None:
        super().__init__(id="run")
        self._texts = texts
        self._row: RunRow | None = None
        self._spec: Mapping[str, Any] = {}
        self._record = RunRecord()
        self._log: str | None = None

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        for name in ("head", "bar", "figures", "alerts"):
            yield Static(id=name)
        yield LossChart(self._texts)
        yield Journal(self._texts)

    @property
    def chart(self) -> LossChart:
        """The curve."""
        return self.query_one(LossChart)

    @property
    def journal(self) -> Journal:
        """Events or log."""
        return self.query_one(Journal)

    def open(self, row: RunRow, spec: str | None, record: RunRecord) -> None:
        """Show another run; `spec` is its spec.json."""
        self._spec = json.loads(spec or "{}")
        self._row, self._record, self._log = row, record, None
        self.show(row)

    def show(self, row: RunRow) -> None:
        """Show the run's state and what its events add up to now."""
        self._row = row
        self.border_title = Content(row.job.id)
        self.query_one("#head", Static).update(self._head(row))
        self.query_one("#bar", Static).update(self._bar(row))
        self.query_one("#figures", Static).update(self._figures(row))
        alerts = self._alerts(row)
        self.query_one("#alerts", Static).update(alerts)
        self.query_one("#alerts").display = bool(alerts.plain)
        self.chart.show(self._record)
        self.show_journal()

    def show_log(self, text: str | None) -> None:
        """Take the log as it is now."""
        self._log = text
        self.show_journal()

    def show_journal(self) -> None:
        """Write the journal, of the kind that is chosen."""
        if self.journal.logging:
            self.journal.show_log(self._log)
        else:
            self.journal.show_events(self._record)

    def on_resize(self) -> None:
        """The bar and the figures are as wide as the view."""
        if self._row is not None:
            self.show(self._row)

    @property
    def _width(self) -> int:
        return self.query_one("#bar").content_size.width

    def _head(self, row: RunRow) -> Content:
        mark, colour = MARKS[row.job.status]
        parts = [
            self._spec[key]["name"] for key in ("model", "method", "stage") if key in self._spec
        ]
        state = f"{mark} {self._texts(f'status.{row.job.status.value}')}  "
        spec = self._texts("tui.run.spec", hash=row.job.spec_hash[:HASH_DIGITS])
        return Content.assemble((state, f"bold {colour}"), " · ".join(parts), (f"  {spec}", FAINT))

    def _bar(self, row: RunRow) -> Content:
        total = row.job.total_steps
        share = min(1.0, self._record.step / total) if total else 0.0
        counted = f" {self._record.step}/{total}  {share:4.0%}"
        cells = max(0, self._width - len(counted) - 1)
        halves = round(share * cells * 2)
        done = FULL * (halves // 2) + HALF * (halves % 2)
        _, colour = MARKS[row.job.status]
        return Content.assemble(
            (done, colour), (REST * (cells - len(done)), "$foreground 15%"), (counted, "bold")
        )

    def _figures(self, row: RunRow) -> Content:
        """Names above, figures below."""
        newest, record = self._record.newest, self._record
        evaluation = record.evaluations[-1].value if record.evaluations else None
        left = figure(newest, "eta_s")
        shown = {
            "loss": number(figure(newest, "loss"), ".4f"),
            "evaluation": number(evaluation, ".4f"),
            "learning_rate": number(figure(newest, "learning_rate"), ".2e"),
            "grad_norm": number(figure(newest, "grad_norm"), ".3g"),
            "tokens_per_s": number(figure(newest, "tokens_per_s"), ",.0f"),
            "eta": clock(None if row.job.status.ended else left),
        }
        room = self._width // len(shown)
        names = "".join(fit(self._texts(f"tui.run.{name}"), room) for name in shown)
        figures = "".join(fit(text, room) for text in shown.values())
        return Content.assemble((names, FAINT), "\n", (figures, "bold"))

    def _alerts(self, row: RunRow) -> Content:
        lines = []
        if row.job.problem is not None:
            message, hint = self._texts.recorded(row.job.problem)
            lines.append(Content.assemble((f"✖ {message}", "bold $error"), (f" {hint}", FAINT)))
        found = find_alerts(
            self._record.losses, self._record.gradients, finished=row.job.status.ended
        )
        for alert in found:
            style = "bold $error" if alert.kind is AlertKind.NOT_FINITE else "$warning"
            text = self._texts(
                f"tui.alerts.{alert.kind.value}", step=alert.step, value=number(alert.value, ".4g")
            )
            lines.append(Content.styled(f"▲ {text}", style))
        return Content("\n").join(lines)
