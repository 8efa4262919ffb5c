"""Exams: the authors' layouts and prompts, a user's own files, and files with faults."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from adapters.catalog import FolderCatalog
from adapters.exam_files import ExamFiles
from domain.errors import HextuneError

FILES = ExamFiles(FolderCatalog())
ROW = "How many legs has a cat?,one,two,three,four,D\n"
OWN: dict[str, Any] = {
    "summary": "Two of our own questions",
    "source": "us",
    "files": "{split}.jsonl",
    "keys": {"question": "q", "A": "choices.0", "B": "choices.1", "answer": "gold"},
    "answers": {"0": "A", "1": "B"},
    "options": ["A", "B"],
    "intro": "",
    "question": "{question} A: {A} B: {B}\n",
    "answer": "{answer}\n",
    "option": "{answer}",
    "subjects": {"all": {"name": "all", "category": "all"}},
}


def mmlu(folder: Path, text: str | bytes) -> Path:
    (folder / "test").mkdir(exist_ok=True)
    file = folder / "test" / "anatomy_test.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def own(folder: Path, **changes: Any) -> str:
    file = folder / "own.json"
    file.write_text(json.dumps({**OWN, **changes}), encoding="utf-8")
    return str(file)


def codes(caught: pytest.ExceptionInfo[HextuneError]) -> list[str]:
    return [found.code for found in caught.value.problems]


@pytest.mark.parametrize("name", FolderCatalog().names("exams"))
def test_every_exam_of_the_catalogue_is_whole(name: str) -> None:
    exam = FILES.describe(name)
    assert {"question", "answer", *exam.options} <= {*exam.columns}
    assert exam.continuations()


@pytest.mark.parametrize(
    ("name", "category", "count"), [("cmmlu", "China specific", 15), ("ceval", "Hard", 8)]
)
def test_categories_that_cut_across_the_others_are_the_authors(
    name: str, category: str, count: int
) -> None:
    also = [each.also for each in FILES.describe(name).subjects.values() if each.also]
    assert also == [(category,)] * count


def test_mmlu_is_asked_as_its_authors_ask(tmp_path: Path) -> None:
    exam = FILES.describe("mmlu")
    (asked,), _ = FILES.read(exam, str(mmlu(tmp_path, ROW)), "test", "anatomy")
    assert exam.prompt("anatomy", [asked]) == (
        "The following are multiple choice questions (with answers) about anatomy.\n\n"
        "How many legs has a cat?\nA. one\nB. two\nC. three\nD. four\nAnswer: D\n\n"
    )
    assert exam.ask(asked) == "How many legs has a cat?\nA. one\nB. two\nC. three\nD. four\nAnswer:"
    assert exam.continuations() == (" A", " B", " C", " D")


@pytest.mark.parametrize(
    ("name", "split", "subject", "first", "asked"),
    [
        (
            "ceval",
            "val/high_school_physics_val",
            "high_school_physics",
            "以下是中国关于高中物理考试的单项选择题，请选出其中的正确答案。\n\n",
            "猫有几条腿？\nA. 一\nB. 二\nC. 三\nD. 四\n答案：",
        ),
        (
            "cmmlu",
            "test/agronomy",
            "agronomy",
            "以下是关于农学的单项选择题，请直接给出正确答案的选项。\n\n",
            "题目：猫有几条腿？\nA. 一\nB. 二\nC. 三\nD. 四\n答案是：",
        ),
    ],
)
def test_the_chinese_exams_are_asked_as_their_authors_ask(
    tmp_path: Path, name: str, split: str, subject: str, first: str, asked: str
) -> None:
    file = tmp_path / f"{split}.csv"
    file.parent.mkdir()
    file.write_text(
        "id,question,A,B,C,D,answer\n0,猫有几条腿？,一,二,三,四,D\n", encoding="utf-8-sig"
    )
    exam = FILES.describe(name)
    (found,), faults = FILES.read(exam, str(tmp_path), exam.split, subject)
    assert exam.ask(found) == asked
    assert exam.prompt(subject, [found]) == f"{first}{asked}D\n\n"
    assert (exam.continuations(), faults) == (("A", "B", "C", "D"), [])


def test_rows_that_are_no_questions_are_listed_with_their_place(tmp_path: Path) -> None:
    text = (
        ROW + '"A question\nof two lines",a,b,c,d,A\n'
        ",a,b,c,d,A\n" + "No option B?,a,,c,d,A\n" + "Outside?,a,b,c,d,E\n" + "Short?,a,b\n"
        "No options?\n" + "Answer?,a,b,c,d,\n"
    )
    found, faults = FILES.read(FILES.describe("mmlu"), str(mmlu(tmp_path, text)), "test", "anatomy")
    assert [each.place for each in found] == [
        "test/anatomy_test.csv:1",
        "test/anatomy_test.csv:2",
    ]
    assert faults == [
        "test/anatomy_test.csv:4 the question is empty",
        "test/anatomy_test.csv:5 option B is empty",
        "test/anatomy_test.csv:6 the answer 'E' is none of A, B, C, D",
        "test/anatomy_test.csv:7 option C is empty",
        "test/anatomy_test.csv:8 it has no options",
        "test/anatomy_test.csv:9 it has no answer",
    ]


def test_a_zip_is_read_like_its_folder(tmp_path: Path) -> None:
    folder = mmlu(tmp_path, ROW)
    with zipfile.ZipFile(tmp_path / "mmlu.zip", "w") as archive:
        archive.write(folder / "test" / "anatomy_test.csv", "data/test/anatomy_test.csv")
    zipfile.ZipFile(tmp_path / "mmlu.zip").extractall(tmp_path / "unpacked")
    exam = FILES.describe("mmlu")
    plain = FILES.read(exam, str(folder), "test", "anatomy")
    for place in ("mmlu.zip", "unpacked", "unpacked/data"):
        assert FILES.read(exam, str(tmp_path / place), "test", "anatomy") == plain


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "exam-file-missing"),
        ("Legs?,\x80".encode("latin-1"), "data-file-broken"),
        (b'"never closed,a,b', "data-file-broken"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error(
    tmp_path: Path, content: bytes | None, code: str
) -> None:
    if content is not None:
        mmlu(tmp_path, content)
    with pytest.raises(HextuneError) as caught:
        FILES.read(FILES.describe("mmlu"), str(tmp_path), "test", "anatomy")
    assert codes(caught) == [code]


def test_a_path_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(HextuneError) as caught:
        FILES.read(FILES.describe("mmlu"), str(tmp_path / "gone.zip"), "test", "anatomy")
    assert codes(caught) == ["exam-path-missing"]


def test_a_zip_without_the_file_is_an_error(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "mmlu.zip", "w") as archive:
        archive.writestr("test/other_test.csv", ROW)
    with pytest.raises(HextuneError) as caught:
        FILES.read(FILES.describe("mmlu"), str(tmp_path / "mmlu.zip"), "test", "anatomy")
    assert codes(caught) == ["exam-file-missing"]


def test_ones_own_exam_is_a_file_that_describes_it(tmp_path: Path) -> None:
    exam = FILES.describe(own(tmp_path))
    rows: list[Any] = [
        {"q": "Up?", "choices": ["yes", "no"], "gold": 1},
        {"q": "Down?", "choices": ["yes"], "gold": 0},
        {"q": "Left?", "choices": ["yes", "no"], "gold": 2},
        ["not a mapping"],
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "test.jsonl").write_text(text, encoding="utf-8")
    (found,), faults = FILES.read(exam, str(tmp_path), "test", "all")
    assert exam.ask(found) == "Up? A: yes B: no\n"
    assert (found.answer, found.place) == ("B", "test.jsonl:1")
    assert faults == [
        "test.jsonl:2 option B is empty",
        "test.jsonl:3 the answer '2' is none of A, B",
        "test.jsonl:4 the question is empty",
    ]


def test_a_broken_line_of_json_is_an_error_with_its_line(tmp_path: Path) -> None:
    exam = FILES.describe(own(tmp_path))
    (tmp_path / "test.jsonl").write_text('{"q": 1}\n{"q": \n', encoding="utf-8")
    with pytest.raises(HextuneError) as caught:
        FILES.read(exam, str(tmp_path), "test", "all")
    assert (codes(caught), caught.value.problems[0].place.line) == (["data-file-broken"], 2)


def test_every_mistake_in_ones_own_description_is_told(tmp_path: Path) -> None:
    with pytest.raises(HextuneError) as caught:
        FILES.describe(own(tmp_path, optoins=["A"], options="AB"))
    assert sorted(codes(caught)) == ["spec-bad-value", "spec-unknown-key"]


@pytest.mark.parametrize(
    ("name", "code"), [("mmul", "spec-unknown-name"), ("nowhere.json", "exam-undescribed")]
)
def test_an_exam_nobody_knows_is_an_error(name: str, code: str) -> None:
    with pytest.raises(HextuneError) as caught:
        FILES.describe(name)
    assert codes(caught) == [code]
