"""The bottom line: keys that work here; those that make no sense now are dim."""

from collections.abc import Collection, Iterable

from textual import events
from textual.content import Content
from textual.style import Style
from textual.widgets import Static

from entrypoints.tui.keys import Key
from entrypoints.tui.shown import Texts

KEY, LABEL, OFF = "bold $primary", "$foreground 80%", "$foreground 35%"

ACTION = "action"
"""Where the text of a key carries its action, so that a click finds it."""


class KeyBar(Static):
    """Keys with their names; a click does what the key does."""

    def __init__(self, texts: Texts, keys: Iterable[Key]) -> None:
        super().__init__(id="keys")
        self._texts = texts
        self._keys = [key for key in keys if key.in_footer]

    def show(self, dim: Collection[str] = ()) -> None:
        """Write the line; `dim` names the keys that make no sense now."""
        parts = [self._part(key, key.name in dim) for key in self._keys]
        self.update(Content("  ").join(parts))

    def _part(self, key: Key, dim: bool) -> Content:
        look, word = (OFF, OFF) if dim else (KEY, LABEL)
        label = self._texts(f"tui.keys.{key.name}.label")
        part = Content.assemble((key.shown, look), " ", (label, word))
        return part.stylize(Style.from_meta({ACTION: key.action}))

    async def on_click(self, event: events.Click) -> None:
        """Do what the key under the pointer does."""
        action = event.style.meta.get(ACTION)
        if action is not None:
            await self.screen.run_action(action)
