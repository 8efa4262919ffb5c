"""Preparing rows in a test: files as values, a section, and what a stage asks."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from domain.dataset import DatasetKind, DataSource
from domain.errors import HextuneError, Problem
from domain.masking import EncodedRow
from domain.prepared import PreparedData
from domain.run_spec import DataSection
from entrypoints.services.encode_rows import Preparation
from entrypoints.services.prepare_data import PrepareData
from tests.fakes.models import FakeEncodedCache, FakeEncoder, FakeRowReader

Rows = Sequence[Mapping[str, object]]


def good(number: int = 0) -> dict[str, object]:
    return {"instruction": f"Question {number}?", "output": f"Answer {number}."}


BAD: dict[str, object] = {"instruction": "Q", "output": ""}
LONG: dict[str, object] = {"instruction": "Q", "output": "x" * 100}
CHAT: dict[str, object] = {
    "conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]
}


def asking(**changes: Any) -> Preparation:
    """What supervised fine-tuning of a model of 2048 tokens asks."""
    values: dict[str, Any] = {
        "stage": "sft",
        "eats": DatasetKind.CONVERSATION,
        "context_tokens": 2048,
        "packing": False,
        "seed": 1,
    }
    return Preparation(**{**values, **changes})


def prepare(
    files: Mapping[str, Rows],
    encoder: FakeEncoder | None = None,
    asked: Preparation | None = None,
    cache: FakeEncodedCache | None = None,
    **section: Any,
) -> PreparedData:
    """Prepared data of a section that trains on a.jsonl unless told otherwise."""
    values: dict[str, Any] = {"train": (DataSource(path="a.jsonl"),), **section}
    reader = FakeRowReader({path: list(rows) for path, rows in files.items()})
    return PrepareData(reader, cache)(
        DataSection(**values), encoder or FakeEncoder(), asked or asking()
    )


def refused(files: Mapping[str, Rows], **section: Any) -> list[Problem]:
    with pytest.raises(HextuneError) as caught:
        prepare(files, **section)
    return list(caught.value.problems)


def sources(*paths: str) -> tuple[DataSource, ...]:
    return tuple(DataSource(path=path) for path in paths)


def text(row: EncodedRow) -> str:
    return "".join(map(chr, row.input_ids))
