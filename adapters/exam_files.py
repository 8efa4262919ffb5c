"""Exams as their authors publish them: csv or jsonl files by subject and split, in a folder or zip.

A catalogue file or a user's own JSON file says how they are laid out.
"""

import csv
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from adapters.spec_file import Draft, plain_values
from domain.errors import HextuneError, Place, fail
from domain.exam import ExamDescription, Question
from ports.catalog import Catalog
from ports.spec_reader import SpecText

OWN = ".json"
"""Ending of a name that is a file which describes an exam."""


class ExamFiles:
    """Implements ports.exams.ExamReader."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def describe(self, name: str) -> ExamDescription:
        """An exam of the catalogue, or of a JSON file, with every mistake in it found at once."""
        if not name.endswith(OWN):
            text = json.dumps(self._catalog.description("exams", name))
        else:
            file = Path(name).expanduser()
            if not file.is_file():
                raise fail("exam-undescribed", path=name)
            text = _decoded(file)
        value, _, places, problems = plain_values(SpecText(text=text, format="json", source=name))
        adapter: TypeAdapter[Any] = TypeAdapter(ExamDescription)
        exam = Draft(value, places, name).validated(adapter, problems)
        if problems:
            raise HextuneError(problems)
        found: ExamDescription = exam
        return found

    def read(
        self, exam: ExamDescription, path: str, split: str, subject: str
    ) -> tuple[list[Question], list[str]]:
        """(questions of a subject, one line for each row that is no question: file:line and why).

        Raises HextuneError where the file is not there or cannot be read.
        """
        name = exam.files.format(split=split, subject=subject)
        text = _text(path, name)
        rows = _json_rows(name, text, exam) if name.endswith(".jsonl") else _rows(name, text, exam)
        questions: list[Question] = []
        faults: list[str] = []
        for line, values in rows:
            place = f"{name}:{line}"
            found = _question(exam, subject, values, place)
            if isinstance(found, Question):
                questions.append(found)
            else:
                faults.append(f"{place} {found}")
        return questions, faults


def _rows(name: str, text: str, exam: ExamDescription) -> Iterator[tuple[int, Mapping[str, str]]]:
    """(first line, column to cell) of each row that is not empty, the header left out."""
    rows = csv.reader(io.StringIO(text), strict=True)
    line, header = 1, exam.header
    try:
        for cells in rows:
            if cells and not header:
                yield line, dict(zip(exam.columns, cells, strict=False))
            header = False
            line = rows.line_num + 1
    except csv.Error as error:
        raise _broken(name, rows.line_num, error) from None


def _json_rows(
    name: str, text: str, exam: ExamDescription
) -> Iterator[tuple[int, Mapping[str, str]]]:
    """(line, question, options and answer by their own names) of each line that is not empty."""
    for line, row in enumerate(text.splitlines(), 1):
        if not row.strip():
            continue
        try:
            value = json.loads(row)
        except ValueError as error:
            raise _broken(name, line, error) from None
        roles = ("question", *exam.options, "answer")
        yield line, {role: _at(value, exam.keys.get(role, role)) for role in roles}


def _at(value: Any, key: str) -> str:
    """What stands under a dotted key, as text; nothing where there is none."""
    for part in key.split("."):
        if isinstance(value, list):
            value = dict(enumerate(value)).get(int(part)) if part.isdecimal() else None
        else:
            value = value.get(part) if isinstance(value, dict) else None
    return "" if value is None else str(value)


def _question(
    exam: ExamDescription, subject: str, values: Mapping[str, str], place: str
) -> Question | str:
    """The question of a row, or why it is none."""
    text = values.get("question", "").strip()
    options = tuple(values.get(letter, "") for letter in exam.options)
    written = values.get("answer", "").strip()
    answer = exam.answers.get(written, written)
    if not text:
        return "the question is empty"
    if not any(option.strip() for option in options):
        return "it has no options"
    empty = [
        letter for letter, option in zip(exam.options, options, strict=True) if not option.strip()
    ]
    if empty:
        return f"option {empty[0]} is empty"
    if not written:
        return "it has no answer"
    if answer not in exam.options:
        return f"the answer {written!r} is none of {', '.join(exam.options)}"
    return Question(subject=subject, text=text, options=options, answer=answer, place=place)


def _text(path: str, name: str) -> str:
    """A file of the exam, from its folder or out of its zip file."""
    place = Path(path).expanduser()
    if not place.exists():
        raise fail("exam-path-missing", path=path)
    if not zipfile.is_zipfile(place):
        # an unpacked zip file has what it holds one folder deeper
        files = [file for file in (place / name, *place.glob(f"*/{name}")) if file.is_file()]
        if not files:
            raise fail("exam-file-missing", Place(file=path), name=name, path=path)
        return _decoded(files[0])
    try:
        with zipfile.ZipFile(place) as archive:
            found = [each for each in archive.namelist() if f"/{each}".endswith(f"/{name}")]
            if not found:
                raise fail("exam-file-missing", Place(file=path), name=name, path=path)
            return archive.read(found[0]).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _not_utf8(name, error) from None
    except (OSError, zipfile.BadZipFile) as error:
        raise _broken(name, None, error) from None


def _decoded(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise _not_utf8(file.name, error) from None
    except OSError as error:
        raise _broken(file.name, None, error) from None


def _not_utf8(name: str, error: UnicodeDecodeError) -> HextuneError:
    return _broken(name, None, f"byte {error.object[error.start]:#04x} is not UTF-8")


def _broken(name: str, line: int | None, reason: object) -> HextuneError:
    return fail("data-file-broken", Place(file=name, line=line), path=name, reason=reason)
