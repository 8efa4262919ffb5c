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


def test_a_source_without_an_origin_is_found_at_its_line() -> None:
    text = "model: {name: m, revsion: x}\ndata:\n  train:\n  - format: alpaca\n  eval:\n"
    text += "  - path: a.json\n    hub: org/name\n"
    with pytest.raises(HextuneError) as caught:
        READER.read(SpecText(text=text, format="yaml", source="run.yaml"))
    found = {(p.code, str(p.place), p.facts.get("given")) for p in caught.value.problems}
    assert found == {
        ("data-source-unclear", "run.yaml:4 data.train.0", "none"),
        ("data-source-unclear", "run.yaml:7 data.eval.0.hub", "both"),
        ("spec-unknown-key", "run.yaml:1 model.revsion", None),
    }


def test_an_origin_may_come_by_an_override_or_be_taken_away_by_one() -> None:
    text = "model: {name: m}\ndata: {train: [{hub: org/name}]}\n"
    for overrides, places in (
        (("data.train.0.hub=null",), ["run.yaml:2 data.train.0"]),
        (("data.train.0.hub=null", "data.train.0.path=a.json"), []),
    ):
        asked = SpecText(text=text, format="yaml", source="run.yaml", overrides=overrides)
        try:
            READER.read(asked)
            found = []
        except HextuneError as error:
            found = [str(problem.place) for problem in error.problems]
        assert found == places


def test_a_description_that_is_missing_is_told_once() -> None:
    assert [found.code for found in problems("{description: gone.yaml}")] == ["data-file-missing"]


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
