"""Row files: four formats with the line of every row, and every way a file can be broken."""

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.catalog import FolderCatalog
from adapters.row_files import _array_lines, _csv
from adapters.row_sources import SourceRowReader
from domain.dataset import DataSource
from domain.errors import HextuneError, Problem

READER = SourceRowReader(FolderCatalog())
CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), max_size=8)


def written(folder: Path, name: str, content: str | bytes) -> str:
    """The path of a new file."""
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def rows(path: str) -> list[tuple[int, dict[str, Any]]]:
    """(line, values) of every row."""
    found = list(READER.read(DataSource(path=path)))
    return [(row.line, dict(row.values)) for row in found]


def broken(path: str) -> Problem:
    with pytest.raises(HextuneError) as caught:
        list(READER.read(DataSource(path=path)))
    assert len(caught.value.problems) == 1
    return caught.value.problems[0]


def parquet(folder: Path, values: list[dict[str, Any]]) -> str:
    path = folder / "rows.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(values), path)
    return str(path)


@pytest.mark.parametrize(
    ("name", "content", "lines"),
    [
        ("a.json", '[{"q": "a"}, {"q": "b"}]', [1, 1]),
        ("a.json", '\n[\n  {"q": "a"},\n\n  {\n "q": "b"\n}\n]\n', [3, 5]),
        ("a.json", '[{"q": "[a]\\n,"}\n,{"q": "b"}]', [1, 2]),
        ("a.jsonl", '{"q": "a"}\n{"q": "b"}\n', [1, 2]),
        ("a.jsonl", '\n{"q": "a"}\n   \n\r\n{"q": "b"}', [2, 5]),
        ("a.csv", "q\na\nb\n", [2, 3]),
        ("a.csv", 'q\n"a\nmore"\nb\n', [2, 4]),
        ("a.csv", "q\r\na\r\n\r\nb\r\n", [2, 4]),
        ("a.csv", '"q\nuestion"\na\nb\n', [3, 4]),
    ],
)
def test_every_row_has_the_line_it_begins_on(
    tmp_path: Path, name: str, content: str, lines: list[int]
) -> None:
    found = rows(written(tmp_path, name, content))
    assert [line for line, _ in found] == lines
    assert [next(iter(values.values()))[-1] for _, values in found][-1] == "b"


@given(st.lists(st.dictionaries(CELL, st.none() | st.integers() | CELL, max_size=3), max_size=6))
def test_the_line_of_an_array_element_is_where_its_text_stands(values: list[Any]) -> None:
    text = json.dumps(values, indent=1, ensure_ascii=False)
    lines = [number for number, line in enumerate(text.split("\n"), 1) if line.startswith(" {")]
    assert list(_array_lines(text, len(values))) == lines


@given(st.lists(st.lists(CELL, min_size=2, max_size=2), max_size=6))
def test_csv_cells_are_read_as_they_were_written(values: list[list[str]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([["a", "b"], *values])
    found = list(_csv(io.BytesIO(text.getvalue().encode()), "rows.csv"))
    assert [list(row.values.values()) for row in found] == values
    lines = text.getvalue().split("\n")
    starts = [lines[row.line - 1] for row in found]
    for start, (first, _) in zip(starts, values, strict=True):
        assert start.removeprefix('"').startswith(first.split("\n")[0].replace('"', '""'))


def test_parquet_rows_are_numbered_and_keep_lists_and_nothing(tmp_path: Path) -> None:
    values: list[dict[str, Any]] = [
        {"instruction": "a", "history": [["q", "a"]], "system": None},
        {"instruction": "b", "history": [], "system": "s"},
    ]
    assert rows(parquet(tmp_path, values)) == [(1, values[0]), (2, values[1])]


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.json", '[{"q": "ж"}]'), ("a.jsonl", '{"q": "ж"}\n'), ("a.csv", "q\nж\n")],
)
def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path, name: str, content: str) -> None:
    path = written(tmp_path, name, b"\xef\xbb\xbf" + content.encode())
    assert [values for _, values in rows(path)] == [{"q": "ж"}]


@pytest.mark.parametrize(
    ("name", "content"), [("a.json", "[]"), ("a.jsonl", ""), ("a.csv", ""), ("a.csv", "q,a\n")]
)
def test_a_file_without_rows_gives_none(tmp_path: Path, name: str, content: str) -> None:
    assert rows(written(tmp_path, name, content)) == []


def test_an_empty_parquet_file_gives_no_rows(tmp_path: Path) -> None:
    assert rows(parquet(tmp_path, [])) == []


@pytest.mark.parametrize(
    ("name", "content", "line", "reason"),
    [
        ("a.json", '[{"q": "a"},\n {"q": "b"', 2, "Expecting ',' delimiter"),
        ("a.json", "", 1, "Expecting value"),
        ("a.json", '{"q": "a"}', 1, "it is not a list of rows"),
        ("a.json", '{"q": "a"}\n{"q": "b"}', 2, "Extra data"),
        ("a.json", '[{"q": "a"},\n"b"]', 2, "this row is str, not an object of columns"),
        ("a.json", "[[]]", 1, "this row is list, not an object of columns"),
        ("a.jsonl", '{"q": "a"}\n{"q": \n', 2, "Expecting value at column 6"),
        ("a.jsonl", '\n{"q": "a"} {}\n', 2, "Extra data at column 12"),
        ("a.jsonl", "null\n", 1, "this row is NoneType, not an object of columns"),
        ("a.jsonl", '{"q": "a"}\n[1]\n', 2, "this row is list, not an object of columns"),
        ("a.csv", "q,a\n1,2\n\n3\n", 4, "it does not have the header's 2 cells (1 found)"),
        ("a.csv", "q,a\n1,2,3\n", 2, "it does not have the header's 2 cells (3 found)"),
        ("a.csv", 'q,a\n"1,2\n', 2, "unexpected end of data"),
        ("a.csv", 'q,a\n1,2\n"1"x,2\n', 3, "',' expected after '\"'"),
        ("a.json", b'["\xff"]', None, "byte 0xff is not UTF-8 text"),
        ("a.jsonl", '{"q": "ж"}\n'.encode("cp1251"), None, "byte 0xe6 is not UTF-8 text"),
        ("a.csv", "q\né\n".encode("latin-1"), None, "byte 0xe9 is not UTF-8 text"),
        ("a.jsonl", '{"q": "a"}\n'.encode("utf-16"), None, "byte 0xff is not UTF-8 text"),
        ("a.parquet", b"PAR1 this is none", None, "Parquet magic bytes not found"),
        ("a.parquet", b"", None, "Parquet file size is 0 bytes"),
    ],
)
def test_a_broken_file_says_where_and_why(
    tmp_path: Path, name: str, content: str | bytes, line: int | None, reason: str
) -> None:
    path = written(tmp_path, name, content)
    found = broken(path)
    assert found.code == "data-file-broken"
    assert (found.place.file, found.place.line) == (path, line)
    assert reason in found.facts["reason"]


def test_rows_before_a_broken_place_are_given_first(tmp_path: Path) -> None:
    path = written(tmp_path, "a.jsonl", '{"q": "a"}\n{\n')
    read = READER.read(DataSource(path=path))
    assert next(read).values == {"q": "a"}
    with pytest.raises(HextuneError):
        next(read)


def test_a_missing_file_is_named_with_the_folder_paths_start_from(tmp_path: Path) -> None:
    found = broken(str(tmp_path / "gone.jsonl"))
    assert found.code == "data-file-missing"
    assert found.facts == {"path": str(tmp_path / "gone.jsonl"), "folder": os.getcwd()}


def test_a_folder_without_data_files_is_missing_data(tmp_path: Path) -> None:
    (tmp_path / "rows.json").mkdir()
    assert broken(str(tmp_path / "rows.json")).code == "data-file-missing"


@pytest.mark.parametrize("name", ["rows.xlsx", "rows", "rows.gz", "rows.json.zip"])
def test_an_unknown_ending_is_refused(tmp_path: Path, name: str) -> None:
    assert broken(written(tmp_path, name, "x")).code == "data-file-kind"


def test_a_home_folder_is_filled_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, "rows.jsonl", '{"q": "a"}\n')
    monkeypatch.setenv("HOME", str(tmp_path))
    assert rows("~/rows.jsonl") == [(1, {"q": "a"})]


@pytest.mark.parametrize("name", FolderCatalog().names("datasets"))
def test_a_built_in_dataset_is_read_by_name(name: str) -> None:
    found = rows(f"builtin:{name}")
    assert len(found) == FolderCatalog().description("datasets", name)["rows"]
    assert found[0][0] == 1


def test_an_unknown_built_in_dataset_suggests_the_nearest() -> None:
    found = broken("builtin:house-stile")
    assert (found.code, found.hint) == ("spec-unknown-name", "Did you mean `house-style`?")
