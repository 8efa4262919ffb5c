"""The number an answer ends with."""

import pytest

from domain.worked_answer import answered_number, reference_number


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ("48/2 = <<48/2=24>>24 clips.\n#### 72", "72"),
        ("It costs more.\n#### 2,125", "2125"),
        ("Below zero.\n#### -5", "-5"),
        ("#### 1\nno, wait\n#### 3.50", "3.50"),
        ("There are 7.", None),
        ("#### none", None),
    ],
)
def test_a_reference_is_the_number_after_the_mark(answer: str, number: str | None) -> None:
    found = reference_number(answer)
    assert (None if found is None else str(found)) == number


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ("First 3, then 4. So the answer is $18.00.", "18.00"),
        ("She has 1,250 apples.", "1250"),
        ("Take 3.\n#### 4\nThat was step 5.", "4"),
        ("No idea.", None),
        ("", None),
        ("about .5 of it", "0.5"),
    ],
)
def test_a_free_answer_counts_by_its_last_number(answer: str, number: str | None) -> None:
    found = answered_number(answer)
    assert (None if found is None else str(found)) == number


def test_equal_numbers_are_equal_however_they_are_written() -> None:
    assert answered_number("$1,018.00.") == reference_number("#### 1018")
