"""Reading exams."""

from typing import Protocol

from domain.exam import ExamDescription, Question


class ExamReader(Protocol):
    """Reads the questions of an exam."""

    def describe(self, name: str) -> ExamDescription:
        """An exam of the catalogue, or of a JSON file. Raises HextuneError for neither."""

    def read(
        self, exam: ExamDescription, path: str, split: str, subject: str
    ) -> tuple[list[Question], list[str]]:
        """(questions of a subject, one line for each row that is no question).

        Raises HextuneError where the file is not there or cannot be read.
        """
