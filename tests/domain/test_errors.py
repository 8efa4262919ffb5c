"""Errors: every code has its texts, formats, is raised somewhere, and ends with a known status."""

import ast
import pickle
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.error_texts import TEXTS
from domain.errors import (
    EXIT_MEANINGS,
    NOWHERE,
    ExitCode,
    HextuneError,
    Place,
    Problem,
    fail,
    problem,
)
from domain.rules import RULES

ROOT = Path(__file__).parents[2]
LAYERS = ("domain", "adapters", "entrypoints", "hextune")


def sources() -> Iterator[ast.Module]:
    """Every module of the project but the table of texts and generated code."""
    for path in (path for layer in LAYERS for path in (ROOT / layer).rglob("*.py")):
        if path.name != "error_texts.py" and "generated" not in path.parts:
            yield ast.parse(path.read_text(encoding="utf-8"))


def called(node: ast.AST) -> str:
    """The plain name a call calls, or an empty text."""
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""


def literals(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            yield inner.value


NODES = [node for tree in sources() for node in ast.walk(tree)]
RAISED = {
    text
    for node in NODES
    if isinstance(node, ast.Call) and called(node) in ("fail", "problem") and node.args
    for text in literals(node.args[0])
}
MENTIONED = {text for node in NODES for text in literals(node)}


def placeholders(code: str) -> set[str]:
    text = TEXTS[code].message + TEXTS[code].hint
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_code_that_is_raised_has_texts() -> None:
    assert len(RAISED) > 40
    assert RAISED - TEXTS.keys() == set()
    assert {rule.id for rule in RULES} <= TEXTS.keys()


def test_every_text_is_raised_somewhere() -> None:
    assert TEXTS.keys() - MENTIONED == set()


@pytest.mark.parametrize("code", TEXTS)
def test_a_code_has_a_message_a_hint_and_a_documented_exit_code(code: str) -> None:
    facts = {name: f"<{name}>" for name in placeholders(code)}
    made = Problem(code=code, facts=facts)
    assert made.message.endswith(".")
    assert made.hint.strip()
    assert all(fact in made.message + made.hint for fact in facts.values())
    assert "{" not in made.message + made.hint
    assert made.exit_code in EXIT_MEANINGS
    assert made.exit_code is not ExitCode.OK


def test_every_exit_code_is_documented() -> None:
    assert set(EXIT_MEANINGS) == set(ExitCode)
    assert all(EXIT_MEANINGS.values())


def test_an_unknown_code_or_a_missing_fact_cannot_be_raised() -> None:
    with pytest.raises(KeyError):
        problem("no-such-code")
    with pytest.raises(KeyError, match="name"):
        fail("model-missing")


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        (NOWHERE, ""),
        (Place(file="run.yaml"), "run.yaml"),
        (Place(file="run.yaml", line=3), "run.yaml:3"),
        (Place(file="run.yaml", line=3, field="seed"), "run.yaml:3 seed"),
        (Place(field="seed"), "seed"),
        (Place(file="override", field="seed"), "override seed"),
    ],
)
def test_a_place_shows_what_is_known_of_it(place: Place, shown: str) -> None:
    assert str(place) == shown


def test_a_problem_is_plain_json_with_its_facts_as_text() -> None:
    place = Place(file="run.yaml", line=3, field="data.max_tokens")
    made = problem("rule-too-long-for-model", place, asked=4096, context=2048)
    assert made.as_json() == {
        "code": "rule-too-long-for-model",
        "message": "`data.max_tokens` 4096 exceeds the model's context of 2048 tokens.",
        "hint": "Use data.max_tokens=2048 or less.",
        "file": "run.yaml",
        "line": 3,
        "field": "data.max_tokens",
        "facts": {"asked": "4096", "context": "2048"},
    }


def test_an_error_carries_all_problems_and_ends_with_the_firsts_status() -> None:
    problems = [problem("run-missing", name="a", folder="runs"), problem("rule-one-length")]
    error = HextuneError(problems)
    assert error.problems == tuple(problems)
    assert error.exit_code is ExitCode.NOT_FOUND
    assert str(error) == "; ".join(item.message for item in problems)


def test_an_error_survives_the_way_between_processes() -> None:
    error = HextuneError([problem("rule-one-length", Place(field="schedule.epochs"))])
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, HextuneError)
    assert again.problems == error.problems


def test_an_error_without_problems_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="at least one"):
        HextuneError([])


def test_fail_makes_an_error_of_one_problem() -> None:
    error = fail("rule-one-length")
    assert error.problems == (Problem(code="rule-one-length"),)
    assert error.exit_code is ExitCode.USAGE
