"""Fixtures that several test folders share."""

import json
from pathlib import Path

import pytest

from tests.fixtures.tiny_model import build_tiny_model

SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random-weight chat model on disk."""
    return build_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def rows_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve alpaca rows; do not write to the file."""
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    rows = [
        {"instruction": f"What is {number} plus one?", "output": f"In short: it is {number + 1}."}
        for number in range(12)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data; tests that need it are skipped where it is missing."""
    if not SHARED.is_dir():
        pytest.skip(f"no shared data folder at {SHARED}")
    return SHARED
