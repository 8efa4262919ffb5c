"""The help screen: every key and what it does, from the table of keys."""

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from entrypoints.tui.keys import Scope, bindings, of_scope
from entrypoints.tui.shown import Texts, fit

KEY_CELLS = 5


class HelpScreen(ModalScreen[None]):
    """Over the monitor, until closed."""

    BINDINGS = bindings(Scope.HELP)  # type: ignore[assignment]

    def __init__(self, texts: Texts) -> None:
        super().__init__()
        self._texts = texts

    def compose(self) -> ComposeResult:
        """A block of text."""
        with VerticalScroll(classes="dialog") as box:
            box.border_title = self._texts("tui.help.title")
            box.border_subtitle = self._texts("tui.keys.close.label")
            yield Static(self._keys())

    def action_close(self) -> None:
        """Back to the monitor."""
        self.dismiss()

    def _keys(self) -> Content:
        lines = []
        for scope in Scope:
            lines.append(Content.styled(self._texts(f"tui.help.{scope.value}"), "bold $primary"))
            lines += [
                Content.assemble(
                    (f"  {fit(key.shown, KEY_CELLS)}", "bold"),
                    self._texts(f"tui.keys.{key.name}.help"),
                )
                for key in of_scope(scope)
            ]
        return Content("\n").join(lines)
