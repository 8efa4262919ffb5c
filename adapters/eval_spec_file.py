"""Evaluation specs: the same text, overrides and messages as run specs."""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from adapters.spec_file import Draft, plain_values
from domain.errors import HextuneError
from domain.eval_spec import EvalSpec
from ports.spec_reader import SpecText


class FileEvalSpecReader:
    """Implements ports.eval_spec_reader.EvalSpecReader."""

    def read(self, text: SpecText) -> EvalSpec:
        """The spec, or HextuneError with every mistake in text and overrides."""
        value, _, places, problems = plain_values(text)
        adapter: TypeAdapter[Any] = TypeAdapter(EvalSpec)
        spec = Draft(value, places, text.source).validated(adapter, problems)
        if problems:
            raise HextuneError(problems)
        found: EvalSpec = spec
        return found

    def json_schema(self) -> Mapping[str, object]:
        """JSON Schema of a spec file."""
        schema = TypeAdapter(EvalSpec).json_schema()
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
