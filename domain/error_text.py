"""What the text of an error is made of."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ErrorText:
    """English texts of one code."""

    message: str
    hint: str
    exit_code: int = 2
