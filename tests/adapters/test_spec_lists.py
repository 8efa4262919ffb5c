"""Lists of named parts in a spec: each part's options are checked, filled in and hashed."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from adapters.catalog import FolderCatalog
from adapters.spec_file import FileSpecReader
from domain.fingerprint import Json
from domain.run_plan import Origin
from domain.section import limited, parts, section
from ports.spec_reader import SpecText
from tests.adapters.spec_reading import READER, SMALL, mistakes, read


def trackers(text: str, *overrides: str) -> Any:
    return read(f"{SMALL}tracking: {{trackers: {text}}}\n", *overrides).spec.tracking.trackers


def test_parts_come_in_their_order_with_their_defaults() -> None:
    found = trackers("[{name: mlflow}, {name: jsonl, file: a.jsonl}]")
    assert found == (
        {"name": "mlflow", "uri": None, "experiment": "hextune"},
        {"name": "jsonl", "file": "a.jsonl"},
    )
    assert read().spec.tracking.trackers == ()


def test_a_part_may_come_twice_and_an_override_reaches_into_one() -> None:
    found = trackers("[{name: jsonl}, {name: jsonl}]", "tracking.trackers.1.file=b.jsonl")
    assert [part["file"] for part in found] == ["metrics.jsonl", "b.jsonl"]


def test_a_spec_with_parts_is_read_back_from_its_json() -> None:
    first = read(SMALL + "tracking: {trackers: [{name: wandb, tags: [a]}]}\n")
    again = read(json.dumps(first.spec.as_json()), format="json")
    assert (again.spec, again.spec.hash) == (first.spec, first.spec.hash)
    assert first.spec.hash != read().spec.hash
    assert first.origins["tracking.trackers.0.tags.0"] is Origin.FILE


@pytest.mark.parametrize(
    ("text", "code", "key"),
    [
        ("[{name: jsonl}, {name: tensorbord}]", "spec-unknown-name", "tracking.trackers.1.name"),
        ("[{file: a}]", "spec-missing-key", "tracking.trackers.0.name"),
        ("[{name: jsonl, fle: a}]", "spec-unknown-key", "tracking.trackers.0.fle"),
        ("[{name: jsonl, file: 3}]", "spec-bad-value", "tracking.trackers.0.file"),
        ("jsonl", "spec-bad-value", "tracking.trackers"),
    ],
)
def test_a_mistake_in_a_part_has_its_place(text: str, code: str, key: str) -> None:
    (found,) = mistakes(f"{SMALL}tracking: {{trackers: {text}}}\n")
    assert (found.code, found.place.field, found.place.line) == (code, key, 3)


def test_an_unknown_name_gets_a_suggestion() -> None:
    (found,) = mistakes(SMALL + "tracking: {trackers: [{name: tensorbord}]}\n")
    assert "`tensorboard`" in found.hint


def test_the_schema_tells_parts_of_a_list_apart_by_their_name() -> None:
    key = READER.json_schema()["$defs"]["TrackingSection"]["properties"]["trackers"]  # type: ignore[index]
    mapping = key["items"]["discriminator"]["mapping"]
    assert set(mapping) == set(FolderCatalog().names("trackers"))


class Judging(FolderCatalog):
    """A catalogue whose stage sft has a list of parts among its options."""

    def part(self, kind: str, name: str) -> Any:
        if kind != "stages":
            return super().part(kind, name)

        @section
        class Options:
            """Options of a stage that judges."""

            count: int = limited(2, ge=1)
            """How many."""
            judges: tuple[dict[str, Json], ...] = parts("trackers")
            """Who judges."""

        return SimpleNamespace(Options=Options, STAGE=super().part(kind, name).STAGE)


def test_options_of_a_chosen_part_may_hold_a_list_of_parts() -> None:
    text = SMALL + "stage: {name: sft, judges: [{name: jsonl}]}\n"
    spec = FileSpecReader(Judging()).read(SpecText(text=text, format="yaml", source="x")).spec
    judges = [dict(part) for part in spec.stage.options["judges"]]  # type: ignore[union-attr, arg-type]
    assert (spec.stage.options["count"], judges) == (
        2,
        [{"name": "jsonl", "file": "metrics.jsonl"}],
    )
