"""Reading evaluation specs from text."""

from collections.abc import Mapping
from typing import Protocol

from domain.eval_spec import EvalSpec
from ports.spec_reader import SpecText


class EvalSpecReader(Protocol):
    """Turns text into an evaluation spec."""

    def read(self, text: SpecText) -> EvalSpec:
        """The spec in `text`. Raises HextuneError with every mistake in it."""

    def json_schema(self) -> Mapping[str, object]:
        """JSON Schema (2020-12) of a spec file."""
