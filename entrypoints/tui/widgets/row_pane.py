"""One row as the model sees it: trained text is coloured, bold and underlined."""

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from domain.token_spans import LINE_END, token_spans
from entrypoints.tui.shown import Texts

if TYPE_CHECKING:
    from entrypoints.services.inspect_data import ShownRow

TRAINED = "bold underline $accent"
"""Told from the rest without colours too; orange on grey is seen by the colour-blind."""


class RowPane(VerticalScroll):
    """The row; long ones scroll."""

    def __init__(self, texts: Texts) -> None:
        super().__init__(id="row")
        self._texts = texts

    def compose(self) -> ComposeResult:
        """One block of text."""
        yield Static(id="text")

    def write(self, text: Content) -> None:
        """Show something else than a row."""
        self.border_title, self.border_subtitle = "", ""
        self.query_one("#text", Static).update(text)

    def show(self, row: "ShownRow", place: str, *, ids: bool) -> None:
        """Show a row; `place` says which one it is."""
        parts = [
            (text if ids else text.replace("\n", f"{LINE_END}\n"), TRAINED) if trained else text
            for text, trained in token_spans(row.pieces, ids=ids)
        ]
        self.write(Content.assemble(*parts))
        trained_tokens = sum(trained for _, _, trained in row.pieces)
        figures = self._texts(
            "tui.data.tokens", tokens=f"{len(row.pieces):,}", trained=f"{trained_tokens:,}"
        )
        answer = self._texts(f"tui.data.{row.answer}") if row.answer else ""
        named = (place, answer, f"{row.file}:{row.line}", figures)
        self.border_title = Content(" · ".join(part for part in named if part))
        self.border_subtitle = Content.styled(self._texts("tui.data.legend"), TRAINED)
