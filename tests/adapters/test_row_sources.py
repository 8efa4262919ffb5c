"""Sources: folders, patterns, compression, Arrow, text, object stores, and all that is damaged."""

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import fsspec
import pyarrow
import pytest

from adapters.catalog import FolderCatalog
from adapters.row_files import LONGEST_LINE_BYTES
from adapters.row_sources import SourceRowReader
from domain.dataset import DataSource, LocatedRow
from domain.errors import HextuneError, Problem

READER = SourceRowReader(FolderCatalog())
LINES = b'{"q": "a"}\n{"q": "b"}\n'


def read(path: Path | str) -> list[LocatedRow]:
    return list(READER.read(DataSource(path=str(path))))


def problem_of(source: DataSource) -> Problem:
    with pytest.raises(HextuneError) as caught:
        list(READER.read(source))
    return caught.value.problems[0]


def test_a_folder_gives_its_data_files_in_order_of_name(tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_bytes(b'{"q": "second"}\n')
    (tmp_path / "a.jsonl").write_bytes(b'{"q": "first"}\n')
    (tmp_path / "README.md").write_text("not data")
    found = read(tmp_path)
    assert [row.values["q"] for row in found] == ["first", "second"]
    assert [Path(row.file).name for row in found] == ["a.jsonl", "b.jsonl"]
    assert [row.line for row in found] == [1, 1]


def test_a_pattern_gives_every_file_that_fits(tmp_path: Path) -> None:
    for name in ("x/part-1.jsonl", "x/y/part-2.jsonl", "x/other.jsonl"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(LINES)
    assert len(read(f"{tmp_path}/**/part-*.jsonl")) == 4
    assert problem_of(DataSource(path=f"{tmp_path}/*.csv")).code == "data-file-missing"


@pytest.mark.parametrize(
    ("ending", "compress"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)]
)
def test_compressed_files_are_read_and_damaged_ones_are_told(
    tmp_path: Path, ending: str, compress: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / f"rows.jsonl{ending}"
    path.write_bytes(compress(LINES))
    assert [row.values["q"] for row in read(path)] == ["a", "b"]
    whole = compress(LINES * 2000)
    path.write_bytes(whole[: len(whole) // 2])
    found = problem_of(DataSource(path=str(path)))
    assert found.code == "data-file-broken"
    path.write_bytes(b"not compressed at all")
    assert problem_of(DataSource(path=str(path))).code == "data-file-broken"


@pytest.mark.parametrize("stream", [True, False])
def test_arrow_files_of_both_layouts_are_read(tmp_path: Path, stream: bool) -> None:
    table = pyarrow.Table.from_pylist([{"q": "a", "n": [1]}, {"q": "b", "n": []}])
    path = tmp_path / "rows.arrow"
    opened = pyarrow.ipc.new_stream if stream else pyarrow.ipc.new_file
    with opened(path, table.schema) as writer:
        writer.write_table(table)
    assert [dict(row.values) for row in read(path)] == table.to_pylist()
    path.write_bytes(path.read_bytes()[:60])
    assert problem_of(DataSource(path=str(path))).code == "data-file-broken"


def test_each_filled_line_of_a_text_file_is_a_document(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes("one\r\n\n  \nzwei \u2028 drei\n".encode())
    assert [(r.line, r.values["text"]) for r in read(path)] == [(1, "one"), (4, "zwei \u2028 drei")]


def test_object_stores_are_opened_by_their_address() -> None:
    with fsspec.open("memory://bucket/rows.jsonl", "wb") as file:
        file.write(LINES)
    found = read("memory://bucket/rows.jsonl")
    assert [(row.file, row.line) for row in found] == [
        ("memory://bucket/rows.jsonl", 1),
        ("memory://bucket/rows.jsonl", 2),
    ]
    missing = problem_of(DataSource(path="memory://bucket/gone.jsonl"))
    assert missing.code == "data-file-broken"


def test_a_store_whose_package_is_missing_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    found = problem_of(DataSource(path="hdfs://host/rows.jsonl"))
    assert found.code == "data-file-broken"
    assert found.facts["reason"]


@pytest.mark.parametrize(
    ("source", "given"),
    [(DataSource(), "none"), (DataSource(path="a.json", hub="org/name"), "both")],
)
def test_a_source_needs_one_origin(source: DataSource, given: str) -> None:
    found = problem_of(source)
    assert (found.code, found.facts["given"]) == ("data-source-unclear", given)


def test_a_hub_dataset_that_cannot_be_had_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def refuse(*args: object, **rest: object) -> None:
        raise ConnectionError("no route to the hub\nand more")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    found = problem_of(DataSource(hub="org/name"))
    assert (found.code, found.facts["reason"]) == ("data-file-broken", "no route to the hub")


def test_hub_rows_are_streamed_with_what_the_source_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    asked: dict[str, object] = {}

    def load(path: str, **rest: object) -> list[dict[str, str]]:
        asked.update(rest, path=path)
        return [{"q": "a"}]

    monkeypatch.setattr(datasets, "load_dataset", load)
    source = DataSource(hub="org/name", subset="s", split="test", folder="f", revision="r")
    (row,) = READER.read(source)
    assert (row.values, row.file, row.line) == ({"q": "a"}, "org/name", 1)
    assert asked == {
        "path": "org/name", "name": "s", "split": "test", "data_dir": "f", "revision": "r",
        "streaming": True,
    }  # fmt: skip


def test_one_endless_line_fills_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with path.open("wb") as file:
        file.write(LINES)
        file.seek(LONGEST_LINE_BYTES + 100)
        file.write(b"x")
    found = problem_of(DataSource(path=str(path)))
    assert (found.code, found.place.line) == ("data-file-broken", 3)


def test_deep_nesting_is_an_error_and_not_a_crash(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("[" * 100_000 + "\n")
    assert problem_of(DataSource(path=str(tmp_path / "rows.jsonl"))).code == "data-file-broken"


def test_wrong_types_in_columns_come_through_as_they_are(tmp_path: Path) -> None:
    """Reading does not judge: NaN, numbers and nesting are alignment's affair."""
    (tmp_path / "rows.jsonl").write_text('{"q": NaN, "r": {"s": [1]}}\n')
    (row,) = read(tmp_path / "rows.jsonl")
    assert str(row.values["q"]) == "nan"
    assert json.dumps(row.values["r"]) == '{"s": [1]}'
