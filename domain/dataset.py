"""Where rows come from, and what they are once aligned.

Structures follow Table 3 of the LLaMA-Factory paper: alpaca-like and ShareGPT-like rows are
described by a `DataSource` and become an `AlignedDataset` of conversations.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from domain.conversation import Conversation
from domain.section import built, section


class DatasetKind(StrEnum):
    """What one row of an aligned dataset is."""

    CONVERSATION = "conversation"


@section
class Columns:
    """Which column of the file holds what."""

    prompt: str = "instruction"
    """Alpaca: the instruction."""
    query: str = "input"
    """Alpaca: the optional input, appended to the instruction after a newline."""
    response: str = "output"
    """Alpaca: the answer that is trained."""
    history: str = "history"
    """Alpaca: earlier turns as a list of [question, answer] pairs."""
    system: str = "system"
    """The system prompt, in both formats."""
    messages: str = "conversations"
    """ShareGPT: the list of turns."""


@section
class Tags:
    """ShareGPT: how a turn names its role and content."""

    role: str = "from"
    """Key of the role inside a turn."""
    content: str = "value"
    """Key of the text inside a turn."""
    user: str = "human"
    """Role value of the person."""
    assistant: str = "gpt"
    """Role value of the model."""
    system: str = "system"
    """Role value of a system turn."""


@section
class DataSource:
    """One file of rows, or a dataset that comes with Hextune."""

    path: str
    """A .json, .jsonl, .csv or .parquet file, or builtin:NAME."""
    format: Literal["auto", "alpaca", "sharegpt"] = "auto"
    """How rows are laid out; auto decides by the columns of the first row and says so."""
    columns: Columns = built(Columns)
    """Column names, where the file's differ from the format's usual ones."""
    tags: Tags = built(Tags)
    """Names inside a ShareGPT turn, where they differ from the usual ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocatedRow:
    """A row as read, and where it stands."""

    values: Mapping[str, object]
    """Column name to value."""
    file: str
    """The file as the spec names it."""
    line: int
    """First line of the row in a text file, from 1; the row's number in a parquet file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFault:
    """Why a row cannot be used."""

    field: str
    """The column at fault."""
    reason: str
    """What is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignedRow:
    """A conversation and the row it came from."""

    conversation: Conversation
    """The row in the standard structure."""
    file: str
    """The file as the spec names it."""
    line: int
    """The row's place in that file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignedDataset:
    """Rows in the standard structure, with what became of every row read."""

    kind: DatasetKind
    """What one row is."""
    rows: Sequence[AlignedRow]
    """The usable rows, in file order."""
    fingerprint: str
    """SHA-256 over the conversations: equal data, equal fingerprint."""
    formats: Mapping[str, str]
    """Path of each source to the format it was read as."""
    dropped: Sequence[str] = ()
    """One line for each row left out: file:line column and reason."""
