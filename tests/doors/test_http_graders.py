"""Graders as rewards: a string check gives the same verdicts, anything else is refused by name."""

from typing import Any

import pytest

from adapters.rewards import Setting, regex
from adapters.rollouts import Answer
from domain.prompted import Prompted
from entrypoints.http_api.schema.graders import FIELD, grader_problems, rewards_of

SAMPLE = "{{ sample.output_text }}"
CHECK = {"type": "string_check", "name": "n", "input": SAMPLE, "operation": "eq", "reference": "4"}


def verdict(grader: dict[str, Any], said: str, answer: str = "") -> float:
    """What the reward gives to a text, as a run would."""
    found = rewards_of(grader)
    (reward,) = found.rewards
    values = {key: value for key, value in reward.items() if key != "name"}
    regex.check(values, "stage.rewards.0")
    made: Any = Setting(network=None, tokenizer=None, model=None, most_rows=1)  # type: ignore[arg-type]
    asked = Prompted(messages=(), answer=answer)
    score = regex.build(values, made)
    return float(score([Answer(asked=asked, prompt=(), tokens=(), ended=True, text=said)])[0])


@pytest.mark.parametrize(
    ("operation", "reference", "said", "worth"),
    [
        ("eq", "4", "4", 1),
        ("eq", "4", "44", 0),
        ("eq", "a.b", "aXb", 0),
        ("eq", "Four", "four", 0),
        ("ne", "4", "4", 0),
        ("ne", "4", "5", 1),
        ("like", "fou", "It is four.", 1),
        ("like", "Fou", "It is four.", 0),
        ("ilike", "Fou", "It is four.", 1),
        ("ilike", "(", "a (b)", 1),
    ],
)
def test_a_fixed_text_is_compared(operation: str, reference: str, said: str, worth: int) -> None:
    grader = {**CHECK, "operation": operation, "reference": reference}
    assert grader_problems(grader) == []
    assert verdict(grader, said) == worth


@pytest.mark.parametrize(
    ("operation", "said", "worth"), [("eq", "12", 1), ("eq", "13", 0), ("ne", "13", 1)]
)
def test_a_column_of_the_row_is_compared(operation: str, said: str, worth: int) -> None:
    grader = {**CHECK, "operation": operation, "reference": "{{item.reference_answer}}"}
    assert grader_problems(grader) == []
    assert rewards_of(grader).answer_column == "reference_answer"
    assert verdict(grader, said, answer="12") == worth


@pytest.mark.parametrize(
    ("grader", "field"),
    [
        (None, ""),
        ({"type": "python", "source": "def grade(): pass"}, ".type"),
        ({"type": "text_similarity"}, ".type"),
        ({"type": "score_model"}, ".type"),
        ({"type": "multi"}, ".type"),
        ({**CHECK, "operation": "about"}, ".operation"),
        ({**CHECK, "colour": "red"}, ".colour"),
        ({**CHECK, "input": "{{item.question}}"}, ".input"),
        ({**CHECK, "reference": "is {{item.a}}"}, ".reference"),
        ({**CHECK, "reference": "{{item.a}}", "operation": "like"}, ".operation"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(grader: Any, field: str) -> None:
    assert [problem.place.field for problem in grader_problems(grader)] == [FIELD + field]
