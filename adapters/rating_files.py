"""Ratings on disk: preference rows as JSON lines, and beside them every pair there is.

ratings.jsonl         rows with prompt, chosen and rejected, as TRL lays preferences out
ratings.pairs.jsonl   every pair with both answers and what was said of it; resuming reads this
"""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from domain.errors import fail
from domain.human_ratings import Pair


class RatingFiles:
    """Implements ports.ratings.RatingStore."""

    def pairs(self, output: str) -> Sequence[Pair]:
        """Every pair on record."""
        path = record_of(output)
        if not path.exists():
            return []
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
            return [Pair.from_json(json.loads(line)) for line in lines]
        except (ValueError, TypeError, KeyError) as error:
            raise fail("human-record-damaged", path=path, reason=error) from None

    def keep(self, output: str, pairs: Sequence[Pair]) -> None:
        """Write the record first: the rows follow from it."""
        preferences = [each.preference() for each in pairs]
        try:
            _write(record_of(output), (each.as_json() for each in pairs))
            _write(Path(output), (row for row in preferences if row is not None))
        except OSError as error:
            raise fail("human-unwritable", path=output, reason=error.strerror) from None


def record_of(output: str) -> Path:
    """Where the pairs of `output` are kept."""
    path = Path(output)
    return path.with_name(f"{path.stem}.pairs.jsonl")


def _write(path: Path, rows: Iterable[object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    with beside.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
