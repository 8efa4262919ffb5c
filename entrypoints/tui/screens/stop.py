"""Asks before a run is stopped, and says what is saved and what would be lost."""

from enum import StrEnum

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from entrypoints.tui.keys import Scope, bindings, of_scope
from entrypoints.tui.record import RunRecord
from entrypoints.tui.shown import Texts


class Answer(StrEnum):
    """What the reader chose."""

    SAVE = "save"
    """Save a checkpoint, then end."""
    KILL = "kill"
    """End at once."""
    KEEP = "keep"
    """Go on training."""


class StopScreen(ModalScreen[Answer]):
    """Over the monitor, until answered."""

    BINDINGS = bindings(Scope.STOP)  # type: ignore[assignment]

    def __init__(self, texts: Texts, run_id: str, record: RunRecord) -> None:
        super().__init__()
        self._texts = texts
        self._run_id = run_id
        self._record = record

    def compose(self) -> ComposeResult:
        """The question, the facts, three answers."""
        with Vertical(classes="dialog") as box:
            box.border_title = Content(self._texts("tui.stop.title", name=self._run_id))
            yield Static(self._texts("tui.stop.saved", step=self._record.step), markup=False)
            yield Static(self._lost(), markup=False, classes="danger")
            with Horizontal():
                for key in of_scope(Scope.STOP):
                    label = f"{self._texts(f'tui.keys.{key.name}.label')} ({key.shown})"
                    yield Button(label, id=key.name, compact=True)

    def action_save(self) -> None:
        """Save, then end."""
        self.dismiss(Answer.SAVE)

    def action_kill(self) -> None:
        """End at once."""
        self.dismiss(Answer.KILL)

    def action_keep(self) -> None:
        """Go on."""
        self.dismiss(Answer.KEEP)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(Answer(str(event.button.id)))

    def _lost(self) -> str:
        if self._record.checkpoint is None:
            return self._texts("tui.stop.lose_all", steps=self._record.step)
        return self._texts(
            "tui.stop.lose_since",
            steps=self._record.unsaved_steps,
            checkpoint=self._record.checkpoint,
        )
