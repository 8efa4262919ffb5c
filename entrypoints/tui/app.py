"""The monitor as a Textual application."""

from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import App
from textual.theme import Theme

from entrypoints.tui.once import snapshot_text
from entrypoints.tui.screens.monitor import MonitorScreen
from entrypoints.tui.shown import Texts

if TYPE_CHECKING:
    from entrypoints.container import Container

__all__ = ["MonitorApp", "run_monitor", "snapshot_text"]

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

    CSS_PATH = Path(__file__).with_name("app.tcss")
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


def run_monitor(container: "Container", *, language: str, run: str | None) -> None:
    """Show the monitor until the reader quits. Raises HextuneError for a run that is not there."""
    if run is not None:
        job = container.find_run()(run)
        if all(job.id != known.id for known in container.jobs().all()):
            from entrypoints.container import make_container

            # A run given by path may lie in another folder of runs: that one is shown.
            container = make_container(str(Path(job.folder).parent))
        run = job.id
    MonitorApp(container, language, run).run()
