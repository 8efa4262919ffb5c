"""The table of the largest peer's rules: each of the 98 is decided, and what it names exists."""

import re
from pathlib import Path

import pytest

from domain.error_texts import TEXTS

PAGE = Path(__file__).parents[2] / "docs" / "peer-rules.md"
ROWS = [
    [cell.strip() for cell in line.strip("|\n").split("|")]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if re.match(r"\| \d+ \|", line)
]


def test_every_rule_is_there_once() -> None:
    assert [int(row[0]) for row in ROWS] == list(range(1, 99))


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_a_rule_is_decided_and_its_codes_exist(row: list[str]) -> None:
    _, theirs, verdict, how = row
    assert theirs
    assert verdict in ("adopted", "unnecessary", "refused")
    codes = re.findall(
        r"`((?:rule|spec|file|model|package|merge|engine|quantizer|run)-[a-z0-9-]+)`", how
    )
    assert set(codes) <= TEXTS.keys()
    assert bool(codes) or verdict != "adopted"
    assert how
