"""The house rules a machine can check."""

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapters.catalog import CODE_KINDS, DATA_KINDS, FolderCatalog
from adapters.spec_file import FORMATS
from entrypoints.container import make_container
from ports.spec_reader import SpecText

ROOT = Path(__file__).parents[2]
LAYERS = ("domain", "ports", "adapters", "entrypoints")
SOURCES = [
    path
    for layer in (*LAYERS, "tests", "benchmarks", "hextune")
    for path in sorted((ROOT / layer).rglob("*.py"))
    if "generated" not in path.parts
]
CATALOG = FolderCatalog()
EXAMPLES = sorted(path for path in (ROOT / "examples").iterdir() if path.suffix in FORMATS)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_file_is_long(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_ports_are_small() -> None:
    for path in (ROOT / "ports").glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 60, path.name


def test_no_file_has_a_name_that_says_nothing() -> None:
    assert not [p for p in SOURCES if p.stem in ("utils", "common", "helpers", "misc")]


@pytest.mark.parametrize("path", [p for p in SOURCES if p.parts[-2] != "tests"], ids=name_of)
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_a_valid_spec(path: Path) -> None:
    check(make_container().spec_reader().load(str(path), []))


@pytest.mark.parametrize("name", CATALOG.names("recipes"))
def test_every_recipe_is_a_valid_spec(name: str) -> None:
    text = CATALOG.description("recipes", name)["text"]
    check(SpecText(text=text, format="yaml", source=name))


def check(text: SpecText) -> None:
    """Read a spec or a pipeline. Raises HextuneError for mistakes in a spec."""
    pipelines = make_container().pipeline_reader()
    if pipelines.holds(text):
        assert pipelines.read(text).problems == ()
    else:
        make_container().spec_reader().read(text)


@pytest.mark.parametrize("kind", [*CODE_KINDS, *DATA_KINDS])
def test_every_part_has_a_summary(kind: str) -> None:
    for name in CATALOG.names(kind):
        assert len(CATALOG.summary(kind, name)) > 10


def test_every_option_is_documented_by_its_own_docstring() -> None:
    """Every key of a spec has a description in the JSON Schema, whatever part it belongs to."""
    schema = make_container().spec_reader().json_schema()
    definitions = {"spec": schema, **schema["$defs"]}
    bare = [
        f"{owner}.{key}"
        for owner, definition in definitions.items()
        for key, value in definition.get("properties", {}).items()
        if not (value.get("description") or _referred(schema, value).get("description"))
    ]
    assert bare == []


def _referred(schema: Mapping[str, Any], value: Mapping[str, Any]) -> Mapping[str, Any]:
    """The definition a value refers to; its description serves where both would say the same."""
    found: Mapping[str, Any] = schema["$defs"].get(value.get("$ref", "").rpartition("/")[2], {})
    return found


def test_the_constraints_pin_every_direct_dependency() -> None:
    import re
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pinned = {
        re.sub(r"[-_.]+", "-", line.partition("==")[0]).lower()
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    }
    apart = {"unsloth", "vllm"}  # live in environments of their own; their pins exceed ours
    extras = project["optional-dependencies"].values()
    for requirement in (*project["dependencies"], *(r for extra in extras for r in extra)):
        name = re.split(r"[\[<>=!~ ]", requirement)[0].lower().replace("_", "-")
        assert name in pinned | apart, requirement


def test_the_three_languages_are_there() -> None:
    folder = ROOT / "adapters" / "data" / "locales"
    assert {path.stem for path in folder.glob("*.json")} >= {"en", "ru", "zh"}
    for path in folder.glob("*.json"):
        assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)


def test_the_readme_names_the_two_commands_the_makefile_has() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in ("demo", "test"):
        assert f"make {target}" in readme
        assert f"\n{target}: " in makefile
