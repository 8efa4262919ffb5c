"""The monitor as a Textual application."""

from typing import TYPE_CHECKING

from textual.app import App
from textual.theme import Theme

from entrypoints.tui.screens.monitor import MonitorScreen
from entrypoints.tui.shown import Texts

if TYPE_CHECKING:
    from entrypoints.container import Container

THEME = Theme(
    name="hextune",
    primary="#6fa8ff",
    secondary="#67d1d8",
    accent="#ffab5c",
    success="#7fd488",
    warning="#e8c257",
    error="#ff6b7d",
    foreground="#d5dae6",
    background="#0f1218",
    surface="#171b24",
    panel="#222836",
)


class MonitorApp(App[None]):
    """Shows runs; leaving it touches none of them."""

    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, container: "Container", language: str, run: str | None = None) -> None:
        super().__init__()
        self.container = container
        self.texts = Texts(container.translator(), language)
        self.monitor = MonitorScreen(container, self.texts, run)

    def on_mount(self) -> None:
        """Colours, and the one screen everything else lies over."""
        self.register_theme(THEME)
        self.theme = THEME.name
        self.push_screen(self.monitor)
