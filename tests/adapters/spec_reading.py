"""Reading specs in tests: the real reader over the real catalogue."""

import pytest

from adapters.catalog import FolderCatalog
from adapters.spec_file import FileSpecReader
from domain.errors import HextuneError, Problem
from ports.spec_reader import SpecDocument, SpecText

READER = FileSpecReader(FolderCatalog())

SMALL = "model: {name: fake}\ndata: {train: [{path: rows.jsonl}]}\n"
"""The shortest spec."""


def read(text: str = SMALL, *overrides: str, format: str = "yaml") -> SpecDocument:
    """The document in `text`, which came by a file called run.FORMAT."""
    return READER.read(
        SpecText(text=text, format=format, source=f"run.{format}", overrides=overrides)
    )


def mistakes(text: str = SMALL, *overrides: str, format: str = "yaml") -> list[Problem]:
    """The problems of a spec that has some."""
    with pytest.raises(HextuneError) as caught:
        read(text, *overrides, format=format)
    return list(caught.value.problems)


def places(problems: list[Problem]) -> set[tuple[str, str]]:
    """Code and `file:line field` of each problem."""
    return {(found.code, str(found.place)) for found in problems}
