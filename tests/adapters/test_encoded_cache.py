"""The cache of encoded rows: what is kept comes back, and what is damaged is made anew."""

import os
from pathlib import Path

import pytest

from adapters.encoded_cache import FileEncodedCache
from domain.masking import IGNORED, EncodedRow
from entrypoints.services.prepare_data import PrepareData
from ports.encoded_cache import EncodedCache
from tests.fakes.models import FakeEncodedCache

ROWS = [
    EncodedRow((5, 6, 7), (IGNORED, 6, 7)),
    EncodedRow((2**31 - 1,), (IGNORED,)),
    EncodedRow((0, 1), (0, 1)),
]


@pytest.fixture(params=["fake", "files"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> EncodedCache:
    return FakeEncodedCache() if request.param == "fake" else FileEncodedCache(tmp_path / "c")


def test_rows_come_back_as_they_were_kept(cache: EncodedCache) -> None:
    assert cache.load("a") is None
    cache.keep("a", ROWS)
    assert list(cache.load("a") or ()) == ROWS
    assert cache.load("b") is None


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 nonsense", None])
def test_a_damaged_file_counts_as_missing(tmp_path: Path, damage: bytes | None) -> None:
    cache = FileEncodedCache(tmp_path)
    cache.keep("a", ROWS)
    path = tmp_path / "a.npz"
    path.write_bytes(path.read_bytes()[:-30] if damage is None else damage)
    assert cache.load("a") is None
    cache.keep("a", ROWS)
    assert list(cache.load("a") or ()) == ROWS


def test_the_parts_used_longest_ago_make_room(tmp_path: Path) -> None:
    FileEncodedCache(tmp_path).keep("first", ROWS)
    size = (tmp_path / "first.npz").stat().st_size
    cache = FileEncodedCache(tmp_path, room_bytes=3 * size)
    for number in range(5):
        cache.keep(f"k{number}", ROWS)
        os.utime(tmp_path / f"k{number}.npz", (number, number))
    assert cache.load("first") is not None
    cache.keep("last", ROWS)
    assert {path.stem for path in tmp_path.glob("*.npz")} == {"first", "k4", "last"}


def test_preparing_twice_encodes_once_and_never_serves_other_rows() -> None:
    """The key covers rows, tokenizer, template and options; a change of any makes a new one."""
    from domain.dataset import DatasetKind, DataSource
    from domain.run_spec import DataSection
    from entrypoints.services.encode_rows import Preparation
    from tests.fakes.models import FakeEncoder, FakeRowReader

    asked = Preparation(
        stage="sft",
        eats=DatasetKind.CONVERSATION,
        context_tokens=1000,
        packing=False,
        seed=1,
    )
    kept = FakeEncodedCache()
    rows = {"a.jsonl": [{"instruction": "q", "output": "a"}]}

    def prepare(template: str = "t", output: str = "a", train_on: str = "assistant_turns") -> int:
        rows["a.jsonl"][0]["output"] = output
        encoder = FakeEncoder()
        encoder.template_fingerprint = template
        data = DataSection(train=(DataSource(path="a.jsonl"),), train_on=train_on)  # type: ignore[arg-type]
        PrepareData(FakeRowReader(rows), kept)(data, encoder, asked)  # type: ignore[arg-type]
        return len(kept.kept)

    assert [prepare(), prepare()] == [1, 1]
    assert prepare(template="other") == 2
    assert prepare(output="b") == 3
    assert prepare(train_on="everything") == 4
    assert prepare() == 4
