"""LLaMA-Factory's dataset_info.json: every key of theirs becomes one of ours or a note."""

from typing import Any

import pytest

from domain.dataset_info import COLUMNS, TAGS, import_entry


def test_a_plain_file_is_alpaca_in_its_folder() -> None:
    imported = import_entry({"file_name": "rows.json"}, "data")
    assert imported.source == {"path": "data/rows.json", "format": "alpaca"}
    assert imported.notes == ()


def test_every_column_and_tag_of_theirs_has_a_place() -> None:
    entry = {
        "file_name": "a.json",
        "formatting": "sharegpt",
        "columns": {key: f"col_{key}" for key in COLUMNS},
        "tags": {key: f"tag_{key}" for key in TAGS},
    }
    source = import_entry(entry, ".").source
    assert set(source["columns"].values()) == {f"col_{key}" for key in COLUMNS}
    assert source["tags"] == {ours: f"tag_{theirs}" for theirs, ours in TAGS.items()}


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"hf_hub_url": "o/n", "ms_hub_url": "x/y"}, {"hub": "o/n"}),
        ({"cloud_file_name": "s3://bucket/a.json"}, {"path": "s3://bucket/a.json"}),
        ({"file_name": "a.json", "ranking": True}, {"path": "d/a.json", "ranking": True}),
        (
            {"hf_hub_url": "o/n", "subset": "s", "split": "t", "folder": "f"},
            {"hub": "o/n", "subset": "s", "split": "t", "folder": "f"},
        ),
        (
            {"file_name": "a.json", "num_samples": 5},
            {"path": "d/a.json", "num_samples": 5, "sample": "random"},
        ),
        (
            {"file_name": "a.txt", "columns": {"prompt": "body"}},
            {"path": "d/a.txt", "format": "text", "columns": {"text": "body"}},
        ),
        ({"script_url": "load.py"}, {"path": "d/load.py"}),
        ({"script_url": "belle"}, {"path": "d/belle/belle.py"}),
        ({"script_url": "https://h/load.py"}, {"path": "https://h/load.py"}),
        ({"file_name": "a.json", "formatting": "openai"}, {"path": "d/a.json", "format": "openai"}),
    ],
)
def test_where_rows_are_and_how_many(entry: dict[str, Any], expected: dict[str, Any]) -> None:
    assert import_entry(entry, "d").source == {"format": "alpaca", **expected}


@pytest.mark.parametrize(
    ("entry", "note"),
    [
        ({"ms_hub_url": "o/n"}, "ModelScope"),
        ({"om_hub_url": "o/n"}, "OpenMind"),
        ({"script_url": "load.py"}, "read d/load.py, then set trust_script"),
        ({"script_url": "belle/"}, "read d/belle/belle.py, then set trust_script"),
        ({"script_url": "https://h/load.py"}, "scripts are not fetched; store https://h/load.py"),
        ({"file_name": "a.json", "columns": {"nonsense": "x"}}, "columns.nonsense"),
        ({"file_name": "a.json", "tags": {"nonsense": "x"}}, "tags.nonsense"),
    ],
)
def test_what_cannot_be_taken_over_is_named(entry: dict[str, Any], note: str) -> None:
    assert any(note in found for found in import_entry(entry, "d").notes)
