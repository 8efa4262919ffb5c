"""The catalogue: folders are kinds, file names are names, plug-ins add entry points.

Parts that are code stand in `adapters/<kind>/<name>.py`; parts that are data stand in
`adapters/data/<kind>/<name>.json`, `.yaml` or `.jinja`. Third parties add code under the
entry-point group `hextune.<kind>`.
"""

import ast
import difflib
import importlib
import importlib.util
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import EntryPoints, entry_points
from pathlib import Path
from typing import Any

import yaml

from domain.errors import fail

CODE = Path(__file__).parent
DATA = CODE / "data"
CODE_KINDS = (
    "conversions",
    "engines",
    "methods",
    "optimizers",
    "quantizers",
    "rewards",
    "scorers",
    "stages",
    "tool_formats",
    "trackers",
)
DATA_KINDS = ("datasets", "exams", "families", "models", "recipes", "templates")
DATA_SUFFIXES = (".jinja", ".json", ".yaml")


@cache
def plug_ins(kind: str) -> EntryPoints:
    """Installed plug-ins of a kind; looking them up takes 0.1 s."""
    return entry_points(group=f"hextune.{kind}")


class FolderCatalog:
    """Implements ports.catalog.Catalog."""

    def kinds(self) -> Sequence[str]:
        """Every kind of part."""
        return sorted((*CODE_KINDS, *DATA_KINDS))

    def names(self, kind: str) -> Sequence[str]:
        """File names of a kind's folder, and names of plug-ins; nothing is imported."""
        if kind in DATA_KINDS:
            return sorted({p.stem for p in (DATA / kind).iterdir() if p.suffix in DATA_SUFFIXES})
        own = {path.stem for path in (CODE / kind).glob("*.py") if path.stem != "__init__"}
        return sorted(own | {point.name for point in plug_ins(kind)})

    def summary(self, kind: str, name: str) -> str:
        """First line of the part's docstring, or its `summary`; a plug-in's is its module."""
        self._check(kind, name)
        if kind in DATA_KINDS:
            return str(self.description(kind, name)["summary"])
        source = CODE / kind / f"{name}.py"
        if not source.exists():
            return next(p.value for p in plug_ins(kind) if p.name == name)
        docstring = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
        return docstring.partition("\n")[0]

    def part(self, kind: str, name: str) -> Any:
        """The module of a part that is code."""
        self._check(kind, name)
        if (CODE / kind / f"{name}.py").exists():
            return importlib.import_module(f"adapters.{kind}.{name}")
        return next(p for p in plug_ins(kind) if p.name == name).load()

    def description(self, kind: str, name: str) -> Mapping[str, Any]:
        """The content of a part that is data; a recipe's or template's is its text and summary."""
        self._check(kind, name)
        path = DATA / kind / f"{name}.json"
        if path.exists():
            loaded: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return loaded
        template = path.with_suffix(".jinja")
        if template.exists():
            text = template.read_text(encoding="utf-8")
            return {"text": text, "summary": text.partition("\n")[0].removeprefix("{#- ")}
        text = path.with_suffix(".yaml").read_text(encoding="utf-8")
        yaml.safe_load(text)
        return {"text": text, "summary": text.partition("\n")[0].removeprefix("# ")}

    def _check(self, kind: str, name: str) -> None:
        if name not in self.names(kind):
            raise fail(
                "spec-unknown-name",
                kind=singular(kind),
                name=name,
                suggestion=suggestion(name, self.names(kind)),
            )


def singular(kind: str) -> str:
    """What one part of a kind is called."""
    return kind[:-3] + "y" if kind.endswith("ies") else kind.removesuffix("s")


def suggestion(name: str, known: Sequence[str]) -> str:
    """A hint that names the nearest known name, or all of them."""
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if nearest:
        return f"Did you mean `{nearest[0]}`?"
    return "Known: " + ", ".join(known) + "."
