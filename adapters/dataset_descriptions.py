"""Dataset descriptions: one small file per dataset, included where a spec names it.

    data: {train: [{description: datasets/mine.yaml, num_samples: 100}]}

The file's keys are those of a data source; keys beside `description` win over the file's. A spec
that was read holds the keys themselves, so its hash covers them. Whether each source then names one
origin of its rows is checked here too.
"""

from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from adapters.spec_text import parse
from domain.dataset import DataSource
from domain.errors import HextuneError, Place, Problem, problem

DESCRIPTION = "description"
FORMATS = {".yaml": "yaml", ".yml": "yaml", ".json": "json"}


def include_descriptions(value: dict[str, Any], places: dict[str, Place]) -> Iterator[Problem]:
    """Replace every `description` in `value` by its file's keys; yields what is wrong with them."""
    for field, source in _sources(value):
        if isinstance(source.get(DESCRIPTION), str):
            try:
                yield from _include(source, field, places)
            except HextuneError as error:
                yield from error.problems


def unclear_origins(value: dict[str, Any], place: Callable[[str], Place]) -> Iterator[Problem]:
    """Every source that names neither a path nor a hub dataset, or both; `place` finds a field."""
    known = {field.name for field in fields(DataSource)}
    for field, source in _sources(value):
        if not source.keys() <= known:
            continue  # a misspelt `path` is said as an unknown key
        path, hub = source.get("path"), source.get("hub")
        if path is None and hub is None:
            yield problem("data-source-unclear", place(field), given="none")
        elif path is not None and hub is not None:
            yield problem("data-source-unclear", place(f"{field}.hub"), given="both")


def _sources(value: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(dotted key, keys) of each data source that is a mapping."""
    data = value.get("data")
    for key in ("train", "eval"):
        sources = data.get(key) if isinstance(data, dict) else None
        for number, source in enumerate(sources if isinstance(sources, list) else []):
            if isinstance(source, dict):
                yield f"data.{key}.{number}", source


def _include(source: dict[str, Any], field: str, places: dict[str, Place]) -> Iterator[Problem]:
    path = source.pop(DESCRIPTION)
    here = places.get(f"{field}.{DESCRIPTION}", Place(field=field))
    file = Path(path).expanduser()
    if file.suffix not in FORMATS or not file.is_file():
        yield problem("data-file-missing", here, path=path, folder=Path.cwd())
        return
    found, lines = parse(file.read_text(encoding="utf-8"), FORMATS[file.suffix], path)
    if not isinstance(found, dict):
        yield problem("spec-not-mapping", Place(file=path, line=1), found=type(found).__name__)
        return
    for name, inner in found.items():
        if name not in source:
            source[name] = inner
            for key, line in lines.items():
                if key == name or key.startswith(f"{name}."):
                    places.setdefault(f"{field}.{key}", Place(file=path, line=line))
