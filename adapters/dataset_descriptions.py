"""Dataset descriptions: one small file per dataset, included where a spec names it.

    data: {train: [{description: datasets/mine.yaml, num_samples: 100}]}

The file's keys are those of a data source; keys beside `description` win over the file's. A spec
that was read holds the keys themselves, so its hash covers them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adapters.spec_text import parse
from domain.errors import HextuneError, Place, Problem, problem

DESCRIPTION = "description"
FORMATS = {".yaml": "yaml", ".yml": "yaml", ".json": "json"}


def include_descriptions(value: dict[str, Any], places: dict[str, Place]) -> Iterator[Problem]:
    """Replace every `description` in `value` by its file's keys; yields what is wrong with them."""
    data = value.get("data")
    for key in ("train", "eval"):
        sources = data.get(key) if isinstance(data, dict) else None
        for number, source in enumerate(sources if isinstance(sources, list) else []):
            if isinstance(source, dict) and isinstance(source.get(DESCRIPTION), str):
                field = f"data.{key}.{number}"
                try:
                    yield from _include(source, field, places)
                except HextuneError as error:
                    yield from error.problems


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
