"""Exams as their authors publish them: csv files by subject and split, in a folder or a zip file."""

import csv
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

from domain.errors import HextuneError, Place, fail
from domain.exam import ExamDescription, Question


class ExamFiles:
    """Implements ports.exams.ExamReader."""

    def read(
        self, exam: ExamDescription, path: str, split: str, subject: str
    ) -> tuple[list[Question], list[str]]:
        """(questions of a subject, one line for each row that is no question: file:line and why).

        Raises HextuneError where the file is not there or cannot be read.
        """
        name = exam.files.format(split=split, subject=subject)
        text = _text(path, name)
        rows = csv.reader(io.StringIO(text), strict=True)
        questions: list[Question] = []
        faults: list[str] = []
        try:
            for line, cells in _cells(rows, exam):
                place = f"{name}:{line}"
                found = _question(exam, subject, cells, place)
                if isinstance(found, Question):
                    questions.append(found)
                else:
                    faults.append(f"{place} {found}")
        except csv.Error as error:
            raise _broken(name, rows.line_num, error) from None
        return questions, faults


def _cells(rows: Iterator[list[str]], exam: ExamDescription) -> Iterator[tuple[int, list[str]]]:
    """(first line, cells) of each row that is not empty, the header left out."""
    line = 1
    header = exam.header
    for cells in rows:
        if cells and not header:
            yield line, cells
        header = False
        line = rows.line_num + 1  # type: ignore[attr-defined]


def _question(
    exam: ExamDescription, subject: str, cells: list[str], place: str
) -> Question | str:
    """The question of a row, or why it is none."""
    values = dict(zip(exam.columns, cells, strict=False))
    text = values.get("question", "").strip()
    options = tuple(values.get(letter, "") for letter in exam.options)
    answer = values.get("answer", "").strip()
    if not text:
        return "the question is empty"
    empty = [letter for letter, option in zip(exam.options, options, strict=True) if not option]
    if empty:
        return f"option {empty[0]} is empty"
    if answer not in exam.options:
        return f"the answer {answer!r} is none of {', '.join(exam.options)}"
    return Question(subject=subject, text=text, options=options, answer=answer, place=place)


def _text(path: str, name: str) -> str:
    """A file of the exam, from its folder or out of its zip file."""
    place = Path(path).expanduser()
    try:
        if zipfile.is_zipfile(place):
            with zipfile.ZipFile(place) as archive:
                found = [each for each in archive.namelist() if f"/{each}".endswith(f"/{name}")]
                if not found:
                    raise fail("exam-file-missing", Place(file=path), name=name, path=path)
                return archive.read(found[0]).decode("utf-8-sig")
        file = place / name
        if not file.is_file():
            raise fail("exam-file-missing", Place(file=path), name=name, path=path)
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise _broken(name, None, f"byte {error.object[error.start]:#04x} is not UTF-8") from None
    except (OSError, zipfile.BadZipFile) as error:
        raise _broken(name, None, error) from None


def _broken(name: str, line: int | None, reason: object) -> HextuneError:
    return fail("data-file-broken", Place(file=name, line=line), path=name, reason=reason)
