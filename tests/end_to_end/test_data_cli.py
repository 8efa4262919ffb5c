"""`tune data` as a user meets it, over a tiny model and over the demo files of a peer."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest


def data(folder: Path, *arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "hextune", "data", *arguments],
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def test_check_show_stats_and_convert(tmp_path: Path, tiny_model: Path, rows_file: Path) -> None:
    model = ("--model", str(tiny_model))
    report = json.loads(data(tmp_path, "check", str(rows_file), *model, "--json"))
    assert (report["rows_read"], report["clean"], report["equal"]) == (12, True, 12)

    shown = data(tmp_path, "show", str(rows_file), *model, "--row", "2", "--ids")
    assert shown.count("⟦") == 1
    plain = data(tmp_path, "show", str(rows_file), *model)
    assert "⟦In short: it is 1.<|im_end|>⟧" in plain
    tokens = json.loads(data(tmp_path, "show", str(rows_file), *model, "--json"))["tokens"]
    trained = "".join(token["text"] for token in tokens if token["trained"])
    assert trained == "In short: it is 1.<|im_end|>"

    stats = data(tmp_path, "stats", str(rows_file), *model, "--png", "lengths.png")
    assert "█" in stats
    assert (tmp_path / "lengths.png").read_bytes().startswith(b"\x89PNG")

    data(tmp_path, "convert", str(rows_file), "--output", "standard.jsonl")
    again = json.loads(data(tmp_path, "check", "standard.jsonl", *model, "--json"))
    assert list(again["formats"].values()) == ["standard"]
    assert again["lengths"] == report["lengths"]
    assert "exists already" in data(
        tmp_path, "convert", str(rows_file), "--output", "standard.jsonl", code=2
    )


def test_bad_rows_are_listed_with_their_lines_and_end_with_one(
    tmp_path: Path, tiny_model: Path
) -> None:
    (tmp_path / "bad.jsonl").write_text(
        '{"instruction": "q", "output": "a"}\n{"instruction": "q", "output": 5}\n'
    )
    found = data(tmp_path, "check", "bad.jsonl", "--model", str(tiny_model), code=1)
    assert "bad.jsonl:2 output: it is a number, not text" in found


EXPECTED: dict[str, tuple[int, str]] = {
    "identity": (91, "conversation"),
    "alpaca_en_demo": (999, "conversation"),
    "alpaca_zh_demo": (1000, "conversation"),
    "glaive_toolcall_en_demo": (300, "conversation"),
    "glaive_toolcall_zh_demo": (300, "conversation"),
    "mllm_demo": (6, "conversation"),
    "mllm_audio_demo": (3, "conversation"),
    "mllm_video_demo": (3, "conversation"),
    "mllm_video_audio_demo": (3, "conversation"),
    "dpo_en_demo": (300, "preference"),
    "dpo_zh_demo": (300, "preference"),
    "kto_en_demo": (300, "feedback"),
    "wiki_demo": (30, "text"),
    "c4_demo": (300, "text"),
}
UNUSABLE = {"glaive_toolcall_zh_demo": 2}
"""Rows of the peer's own demo data that call a tool and go on without its result."""
if find_spec("soundfile") is None:
    UNUSABLE |= {"mllm_audio_demo": 2, "mllm_video_audio_demo": 3}  # all but WAV
if find_spec("av") is None:
    UNUSABLE |= {"mllm_video_demo": 3, "mllm_video_audio_demo": 3}


@pytest.fixture(scope="module")
def imported(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("imported")
    data(folder, "import", str(shared_data / "llamafactory" / "dataset_info.json"))
    return folder / "datasets"


def test_every_entry_of_a_peers_dataset_info_is_a_valid_description(imported: Path) -> None:
    from adapters.catalog import FolderCatalog
    from adapters.spec_file import FileSpecReader
    from ports.spec_reader import SpecText

    reader = FileSpecReader(FolderCatalog())
    files = sorted(imported.glob("*.json"))
    assert len(files) == 104
    for file in files:
        spec = {"model": {"name": "m"}, "data": {"train": [{"description": str(file)}]}}
        reader.read(SpecText(text=json.dumps(spec), format="json", source=file.name))


@pytest.mark.parametrize("name", EXPECTED)
def test_the_demo_files_of_a_peer_are_read_row_by_row(imported: Path, name: str) -> None:
    from entrypoints.container import make_container
    from ports.spec_reader import SpecText

    spec: dict[str, Any] = {
        "model": {"name": "m"},
        "data": {"train": [{"description": str(imported / f"{name}.json")}], "on_bad_row": "drop"},
    }
    container = make_container("unused")
    text = SpecText(text=json.dumps(spec), format="json", source="test")
    section = container.spec_reader().read(text).spec.data
    training, _ = container.prepare_data().align(section, 0)
    rows, kind = EXPECTED[name]
    assert len(training.dropped) == UNUSABLE.get(name, 0)
    assert len(training.rows) == rows - len(training.dropped)
    assert {row.row.kind.value for row in training.rows} <= {kind}
