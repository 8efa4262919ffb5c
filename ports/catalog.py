"""What can be chosen by name: every kind of part is a folder, every name a file in it."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class Catalog(Protocol):
    """Names, options and content of the parts that come with Hextune or with a plug-in."""

    def kinds(self) -> Sequence[str]:
        """The kinds of part, such as methods, stages and datasets."""

    def names(self, kind: str) -> Sequence[str]:
        """The names of one kind, sorted; nothing is imported."""

    def summary(self, kind: str, name: str) -> str:
        """One line on a part. Raises HextuneError for an unknown name."""

    def part(self, kind: str, name: str) -> Any:
        """The module of a part, imported now. Raises HextuneError for an unknown name."""

    def description(self, kind: str, name: str) -> Mapping[str, Any]:
        """The JSON file of a part that is data. Raises HextuneError for an unknown name."""
