"""The catalogue: folders are listed without importing, plug-ins are found, typos are answered."""

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import adapters.catalog
from adapters.catalog import FolderCatalog, suggestion
from domain.errors import HextuneError

CATALOG = FolderCatalog()
OWN = list(CATALOG.names("methods"))
ROOT = Path(__file__).parents[2]


@pytest.fixture
def plug_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed distribution that adds a method called galore."""
    point = EntryPoint("galore", "adapters.methods.full", "hextune.methods")

    def found(kind: str) -> list[EntryPoint]:
        return [point] if kind == "methods" else []

    monkeypatch.setattr(adapters.catalog, "plug_ins", found)


@pytest.mark.parametrize("kind", CATALOG.kinds())
def test_every_name_of_every_kind_has_a_summary_of_one_line(kind: str) -> None:
    names = CATALOG.names(kind)
    assert names
    assert list(names) == sorted(set(names))
    for name in names:
        summary = CATALOG.summary(kind, name)
        assert summary.strip()
        assert "\n" not in summary


def test_the_folders_are_the_registry() -> None:
    assert {"full", "lora"} <= set(CATALOG.names("methods"))
    assert "house-style" in CATALOG.names("datasets")
    assert CATALOG.part("methods", "lora").__name__ == "adapters.methods.lora"
    assert CATALOG.description("datasets", "house-style")["file"] == "house-style.jsonl"


def test_a_recipe_is_its_text_with_the_first_comment_as_summary() -> None:
    recipe = CATALOG.description("recipes", "lora")
    assert recipe["text"].startswith(f"# {recipe['summary']}\n")


def test_listing_imports_no_part() -> None:
    code = (
        "import sys; from adapters.catalog import FolderCatalog as C; c = C();"
        "[c.summary(k, n) for k in c.kinds() for n in c.names(k)];"
        "print([m for m in sys.modules if m.startswith('adapters.') and m != 'adapters.catalog'])"
    )
    listed = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert listed.stdout.strip() == "[]"


@pytest.mark.usefixtures("plug_in")
def test_a_plug_in_is_listed_described_and_loaded_beside_our_own() -> None:
    assert CATALOG.names("methods") == sorted([*OWN, "galore"])
    assert CATALOG.summary("methods", "galore") == "adapters.methods.full"
    assert CATALOG.part("methods", "galore").ADAPTER_BASED is False
    assert "galore" not in CATALOG.names("stages")


@pytest.mark.usefixtures("plug_in")
def test_a_plug_in_does_not_replace_a_part_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("lora", "adapters.methods.full", "hextune.methods")
    monkeypatch.setattr(adapters.catalog, "plug_ins", lambda kind: [point])
    assert CATALOG.names("methods") == OWN
    assert CATALOG.part("methods", "lora").ADAPTER_BASED is True


@pytest.mark.parametrize("ask", ["summary", "part", "description"])
@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("lorra", "Did you mean `lora`?"),
        ("zzz", "Known: " + ", ".join(OWN)),
        ("../methods/lora", "Did you mean"),
        ("", "Known: " + ", ".join(OWN)),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(ask: str, name: str, hint: str) -> None:
    with pytest.raises(HextuneError) as caught:
        getattr(CATALOG, ask)("methods", name)
    found = caught.value.problems[0]
    assert (found.code, found.facts["kind"], found.facts["name"]) == (
        "spec-unknown-name",
        "method",
        name,
    )
    assert found.hint.startswith(hint) or name.startswith("..")


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("bitsandbyte", ["bitsandbytes", "gptq"], "Did you mean `bitsandbytes`?"),
        ("x", ["full", "lora"], "Known: full, lora."),
        ("x", [], "Known: ."),
    ],
)
def test_a_suggestion_is_the_nearest_name_or_all(name: str, known: list[str], hint: str) -> None:
    assert suggestion(name, known) == hint
