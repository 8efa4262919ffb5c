"""Worked answers: the number one ends with (GSM8K, Cobbe et al. 2021).

Reference answers end with #### and the number. A model's free answer counts by the number after
its last ####, or else by the last number it names.
"""

import re
from decimal import Decimal

NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?|-?\.\d+")
MARK = "####"


def reference_number(answer: str) -> Decimal | None:
    """The number after the mark; None where there is none."""
    _, mark, rest = answer.rpartition(MARK)
    found = NUMBER.search(rest) if mark else None
    return _decimal(found[0]) if found else None


def answered_number(answer: str) -> Decimal | None:
    """The number a free answer ends with; None where it names none."""
    marked = reference_number(answer)
    if marked is not None:
        return marked
    found = NUMBER.findall(answer)
    return _decimal(found[-1]) if found else None


def _decimal(text: str) -> Decimal:
    return Decimal(text.replace(",", ""))
