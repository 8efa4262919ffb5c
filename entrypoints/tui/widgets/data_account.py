"""The account of a run's rows: how many are used, and what is wrong with the others."""

from collections.abc import Iterator, Sequence

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from domain.data_report import DataReport
from domain.media import MediaAccount
from entrypoints.tui.shown import MISSING, Texts, fit

SHOWN_LINES = 20
"""Rows of each kind of fault that are listed."""
NAME_CELLS = 13
FAINT = "$foreground 60%"


class DataAccount(VerticalScroll):
    """Counts first, then the rows with faults."""

    def __init__(self, texts: Texts) -> None:
        super().__init__(id="account")
        self._texts = texts

    def compose(self) -> ComposeResult:
        """One block of text."""
        yield Static(id="counts")

    def write(self, text: Content) -> None:
        """Show something else, such as why there is no account."""
        self.query_one("#counts", Static).update(text)

    def show(self, report: DataReport) -> None:
        """Show a report."""
        faults = {
            "dropped": report.dropped,
            "too_long": report.too_long,
            "refused": report.refused,
            "untrained": report.untrained,
            "duplicates": report.duplicates,
        }
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in report.kinds.items())
        formats = ", ".join(f"{name} ({found})" for name, found in report.formats.items())
        share = self._texts(
            "tui.data.share",
            trained=f"{sum(report.trained):,}",
            tokens=f"{sum(report.lengths):,}",
            share=f"{report.trained_share:.1%}",
        )
        lines = [
            self._line("read", f"{report.rows_read:,}"),
            self._line("kept", kinds or "0"),
            *(self._count(name, rows) for name, rows in faults.items()),
            self._line("trained", share),
            self._line("template", self._verdict(report)),
            *(self._media(kind, media) for kind, media in report.media.items()),
            self._line("sources", formats or MISSING),
        ]
        for name, rows in faults.items():
            lines += self._listed(name, rows)
        self.write(Content("\n").join(lines))

    def _line(self, name: str, value: str) -> Content:
        return Content.assemble((fit(self._texts(f"tui.data.{name}"), NAME_CELLS), FAINT), value)

    def _count(self, name: str, rows: Sequence[str]) -> Content:
        """A sign stands by a count above nothing, for those who do not see its colour."""
        line = self._line(name, f"{len(rows):,}" + (" ▲" if rows else ""))
        return line.stylize("bold $warning", NAME_CELLS) if rows else line

    def _verdict(self, report: DataReport) -> str:
        if not report.compared:
            return self._texts("tui.data.no_verdict")
        return self._texts("tui.data.verdict", equal=report.equal, compared=report.compared)

    def _media(self, kind: str, media: MediaAccount) -> Content:
        facts = [self._texts("tui.data.files", count=f"{media.files:,}")]
        facts += ["/".join(media.sizes)] if media.sizes else []
        if media.seconds:
            facts.append("/".join(f"{length:g}" for length in media.seconds) + " s")
        if media.tokens:
            facts.append(
                self._texts("tui.data.each", tokens="/".join(map(str, media.tokens.values())))
            )
        return self._line(kind, ", ".join(facts))

    def _listed(self, name: str, rows: Sequence[str]) -> Iterator[Content]:
        if not rows:
            return
        yield Content.styled(f"\n{self._texts(f'tui.data.{name}')}", "bold")
        yield from (Content(f"  {row}") for row in rows[:SHOWN_LINES])
        if len(rows) > SHOWN_LINES:
            more = self._texts("tui.data.more", count=f"{len(rows) - SHOWN_LINES:,}")
            yield Content.styled(f"  {more}", FAINT)
