"""Description files: included where a spec names them, wrong ones reported where they stand."""

import json
from pathlib import Path

import pytest

from adapters.catalog import FolderCatalog
from adapters.spec_file import FileSpecReader
from domain.errors import HextuneError, Problem
from domain.run_spec import RunSpec
from ports.spec_reader import SpecText

READER = FileSpecReader(FolderCatalog())


def read(source: str) -> RunSpec:
    text = f"model: {{name: m}}\ndata:\n  train:\n    - {source}\n"
    return READER.read(SpecText(text=text, format="yaml", source="run.yaml")).spec


def problems(source: str) -> tuple[Problem, ...]:
    with pytest.raises(HextuneError) as caught:
        read(source)
    return caught.value.problems


@pytest.mark.parametrize("name", ["mine.yaml", "mine.json"])
def test_a_description_stands_for_its_keys_and_the_specs_own_win(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(json.dumps({"path": "a.json", "format": "sharegpt", "tags": {"user": "u"}}))
    spec = read(f"{{description: {path}, format: openai}}")
    (source,) = spec.data.train
    assert (source.path, source.format, source.tags.user) == ("a.json", "openai", "u")
    assert spec.hash == read("{path: a.json, format: openai, tags: {user: u}}").hash


def test_a_mistake_in_a_description_stands_at_its_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("path: a.json\nformatt: alpaca\n")
    (found,) = problems(f"{{description: {path}}}")
    assert found.code == "spec-unknown-key"
    assert (found.place.file, found.place.line) == (str(path), 2)


def test_a_missing_or_shapeless_description_is_told(tmp_path: Path) -> None:
    missing = problems("{description: nowhere.yaml}")
    assert (missing[0].code, missing[0].place.line) == ("data-file-missing", 4)
    (tmp_path / "list.yaml").write_text("- a\n")
    assert problems(f"{{description: {tmp_path}/list.yaml}}")[0].code == "spec-not-mapping"
    (tmp_path / "broken.yaml").write_text("a: [\n")
    assert problems(f"{{description: {tmp_path}/broken.yaml}}")[0].code == "spec-syntax"


def test_editors_are_told_of_the_key() -> None:
    schema = READER.json_schema()
    assert "description" in schema["$defs"]["DataSource"]["properties"]  # type: ignore[index]
