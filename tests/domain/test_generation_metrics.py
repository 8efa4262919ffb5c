"""Free answers: SQuAD's exact match and F1, pass@k, ratings, programs out of answers."""

from itertools import combinations

import pytest

from domain.generation_metrics import (
    exact_match,
    f1,
    is_chinese,
    pass_at_k,
    program_of,
    rating_of,
)

IMPORT = "import math\n\n"
HEAD = f"{IMPORT}def add(a, b):\n    "


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        ("The Eiffel Tower!", "eiffel tower", 1.0),
        ("An  apple, a pear", "apple pear", 1.0),
        ("Paris", "London", 0.0),
        ("", "London", 0.0),
    ],
)
def test_exact_match_is_squads(answer: str, reference: str, expected: float) -> None:
    assert exact_match(answer, reference) == expected


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        ("the cat sat", "a cat sat down", 2 * (2 / 2) * (2 / 3) / (2 / 2 + 2 / 3)),
        ("cat cat", "cat", 2 * 0.5 * 1 / 1.5),  # a word counts as often as both have it
        ("dog", "cat", 0.0),
        ("", "cat", 0.0),
        ("the", "a", 1.0),  # nothing is left of either
    ],
)
def test_f1_is_squads(answer: str, reference: str, expected: float) -> None:
    assert f1(answer, reference) == pytest.approx(expected)


def test_chinese_is_recognised() -> None:
    assert is_chinese("answer: 是")
    assert not is_chinese("café, кофе")


@pytest.mark.parametrize(("samples", "passed"), [(5, 0), (5, 1), (6, 3), (4, 4)])
def test_pass_at_k_is_the_share_of_draws_with_a_passing_program(samples: int, passed: int) -> None:
    programs = [True] * passed + [False] * (samples - passed)
    for k in range(1, samples + 1):
        draws = list(combinations(programs, k))
        assert pass_at_k(samples, passed, k) == pytest.approx(sum(map(any, draws)) / len(draws))


@pytest.mark.parametrize(
    ("judgement", "expected"),
    [
        ("Good. [[8]]", 8.0),
        ("From [[1]] to [[10]] I say [[7.5]]", 7.5),
        ("Rating: 8", None),
        ("[[11]]", None),
        ("", None),
    ],
)
def test_a_rating_is_the_last_number_in_brackets_on_the_scale(
    judgement: str, expected: float | None
) -> None:
    assert rating_of(judgement, 1, 10) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("return a + b", f"{HEAD}return a + b"),
        (
            "So:\n```python\ndef add(a, b): return 1\n```\nDone.",
            f"{IMPORT}def add(a, b): return 1\n",
        ),
        ("```\nreturn a\n```", f"{HEAD}return a\n"),
        ("def add(a, b): return 2", f"{IMPORT}def add(a, b): return 2"),
    ],
)
def test_the_program_of_an_answer(answer: str, expected: str) -> None:
    assert program_of(answer, HEAD, "add") == expected


def test_a_task_without_a_head_stands_in_no_program() -> None:
    assert program_of("x = 1", "Write x.", "") == "x = 1"
