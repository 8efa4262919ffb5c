"""Graders of reinforcement as rewards of stage grpo.

A string check compares a sample's text with a fixed text, or with a column of the row; then numbers
are equal by value, and space around a text does not count. Other graders are refused by name: text
similarity and models that score have no counterpart that would give the same figures, and Python
that a request brings is never run.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from domain.errors import Place, Problem, problem
from domain.fingerprint import Json
from entrypoints.http_api.schema.values import Strict, bad, invalid

FIELD = "method.reinforcement.grader"
SAMPLE = re.compile(r"\{\{\s*sample\.output_text\s*\}\}")
COLUMN = re.compile(r"\{\{\s*item\.([A-Za-z0-9_-]+)\s*\}\}")
TEMPLATE = re.compile(r"\{\{.*?\}\}")


class StringCheck(Strict):
    """Compares a sample with a text."""

    type: Literal["string_check"]
    name: str
    input: str
    operation: Literal["eq", "ne", "like", "ilike"]
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Graded:
    """What a grader means in a run spec."""

    rewards: Sequence[Mapping[str, Json]] = ()
    """Rewards of stage grpo."""
    answer_column: str | None = None
    """The column of each row's reference."""


def grader_problems(grader: Mapping[str, Any] | None) -> list[Problem]:
    """What cannot be done of a grader."""
    if grader is None:
        return [bad(FIELD, "reinforcement needs one")]
    if grader.get("type") != "string_check":
        field = f"{FIELD}.type"
        return [problem("request-unsupported-field", Place(field=field), field=field)]
    try:
        check = StringCheck.model_validate(grader)
    except ValidationError as error:
        return [_inside(found) for found in invalid(error)]
    problems = []
    if not SAMPLE.fullmatch(check.input.strip()):
        problems.append(bad(f"{FIELD}.input", "only {{sample.output_text}} can be checked"))
    column = column_of(check.reference)
    if column is None and TEMPLATE.search(check.reference):
        reason = "it is neither a fixed text nor one column, as {{item.reference_answer}}"
        problems.append(bad(f"{FIELD}.reference", reason))
    if column is not None and check.operation in ("like", "ilike"):
        problems.append(bad(f"{FIELD}.operation", "a column is compared by eq or ne"))
    return problems


def column_of(reference: str) -> str | None:
    """The column a reference names; None for a fixed text."""
    found = COLUMN.fullmatch(reference.strip())
    return found[1] if found else None


def rewards_of(grader: Mapping[str, Any]) -> Graded:
    """Rewards that give 1 where the check holds and 0 elsewhere."""
    check = StringCheck.model_validate(grader)
    column = column_of(check.reference)
    text = re.escape(check.reference)
    patterns = {"eq": rf"\A{text}\Z", "like": text, "ilike": f"(?i){text}"}
    patterns["ne"] = patterns["eq"]
    reward: dict[str, Json] = {"name": "regex", "pattern": patterns[check.operation]}
    if column is not None:
        reward |= {"pattern": r"(?s)\A(.*)\Z", "compare": True}
    if check.operation == "ne":
        reward |= {"reward": 0.0, "otherwise": 1.0}
    return Graded(rewards=(reward,), answer_column=column)


def _inside(found: Problem) -> Problem:
    field = f"{FIELD}.{found.place.field}"
    return problem(found.code, Place(field=field), **{**found.facts, "field": field})
