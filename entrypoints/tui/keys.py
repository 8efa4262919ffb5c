"""The one table of keys: bindings, the footer and the help screen are made from it."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from textual.binding import Binding


class Scope(StrEnum):
    """Where a key works."""

    MONITOR = "monitor"
    DATA = "data"
    STOP = "stop"
    HELP = "help"


@dataclass(frozen=True, slots=True)
class Key:
    """A key; its texts are `tui.keys.<name>.label` and `.help`."""

    name: str
    """Name in the locale files."""
    keys: str
    """Textual's names of the keys, separated by commas."""
    shown: str
    """How the key is written."""
    action: str | None
    """Action of the screen; None where the focused widget itself acts."""
    scope: Scope = Scope.MONITOR
    """Where it works."""
    in_footer: bool = True
    """Whether the footer has room for it."""


KEYS = (
    Key("move", "up,down", "↑↓", None, in_footer=False),
    Key("open", "enter", "⏎", "open"),
    Key("back", "escape", "esc", "back", in_footer=False),
    Key("filter", "slash", "/", "filter"),
    Key("stop", "x", "x", "stop"),
    Key("resume", "r", "r", "resume"),
    Key("log", "l", "l", "log"),
    Key("data", "d", "d", "data"),
    Key("scale", "y", "y", "scale"),
    Key("language", "L", "L", "language", in_footer=False),
    Key("help", "question_mark", "?", "help"),
    Key("quit", "q,ctrl+c", "q", "quit"),
    Key("previous", "left,p", "←", "previous", Scope.DATA),
    Key("next", "right,n", "→", "next", Scope.DATA),
    Key("part", "tab", "tab", None, Scope.DATA, in_footer=False),
    Key("ids", "i", "i", "ids", Scope.DATA),
    Key("leave", "escape,q", "esc", "leave", Scope.DATA),
    Key("save", "s", "s", "save", Scope.STOP),
    Key("kill", "k", "k", "kill", Scope.STOP),
    Key("keep", "escape", "esc", "keep", Scope.STOP),
    Key("close", "escape,question_mark,q", "esc", "close", Scope.HELP, in_footer=False),
)


def of_scope(scope: Scope) -> Iterator[Key]:
    """The keys that work in one place."""
    return (key for key in KEYS if key.scope is scope)


def bindings(scope: Scope) -> list[Binding]:
    """Textual's bindings of one place."""
    return [
        Binding(key.keys, key.action, key.name, show=False) for key in of_scope(scope) if key.action
    ]
