"""Tools in a generation: what the model may or must call, and the calls as they come.

The words are those of OpenAI's API: https://platform.openai.com/docs/guides/function-calling.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """How the tools of a conversation are to be used."""

    required: bool = False
    """Whether the answer must be calls; else the model is free."""
    name: str | None = None
    """The one function that must be called, once; only where a call is required."""
    parallel: bool = True
    """Whether an answer may hold several calls."""


FREELY = ToolUse()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPiece:
    """A piece of a call; the first one of each call names the function."""

    index: int
    """Which call of the answer."""
    name: str = ""
    """The function, on the first piece of a call."""
    arguments: str = ""
    """New text of the arguments, which are one JSON object."""
