"""`tune eval human` without a terminal: lines answer, names stay hidden, the same call goes on."""

import json
from pathlib import Path
from typing import Any

import pytest
from dependency_injector import providers
from typer.testing import CliRunner

from domain.human_ratings import Choice
from domain.model_handle import ResolvedModel
from domain.sampling import GenerationRequest, TextDelta
from entrypoints.cli.commands import human
from entrypoints.cli.main import app
from entrypoints.container import Container
from tests.fakes.container import fake_container
from tests.fakes.models import HANDLE


class Engine:
    """Answers differently for each model, without naming it."""

    def __init__(self, model: ResolvedModel) -> None:
        self.sign = {"red-model": "!", "blue-model": "?"}[model.label]

    def generate(self, request: GenerationRequest) -> Any:
        yield TextDelta(text=request.conversation.messages[-1].content + self.sign)

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture
def container(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Container:
    made = fake_container()
    made.open_engine.override(providers.Callable(Engine))
    made.resolve_model.override(
        providers.Object(lambda name: ResolvedModel(label=name, handle=HANDLE, created_at=0.0))
    )
    monkeypatch.setattr("entrypoints.container.make_container", lambda runs: made)
    return made


def rate(folder: Path, said: str, *more: str) -> Any:
    arguments = [
        "eval", "human", "--model", "red-model", "--model", "blue-model",
        "--prompts", "rows.jsonl", "--output", str(folder / "ratings.jsonl"), *more,
    ]  # fmt: skip
    return CliRunner().invoke(app, arguments, input=said)


@pytest.mark.usefixtures("container")
def test_lines_rate_and_the_same_call_goes_on(tmp_path: Path) -> None:
    first = rate(tmp_path, "a\nwhat\nB\ntie\nquit\n")
    assert first.exit_code == 0, first.output
    talk = first.stderr.partition("1 of 8")[2].rpartition("wrote")[0]
    assert "Question 0?!" in talk
    assert "red-model" not in talk
    assert "3 of 8" in talk
    assert "1 ties, 0 skipped, 5 left" in first.stdout
    rest = rate(tmp_path, "s\n" * 5, "--json")
    found = json.loads(rest.stdout)
    assert (found["ties"], found["skipped"], found["unrated"]) == (1, 5, 0)
    assert sum(found["wins"].values()) == 2
    rows = (tmp_path / "ratings.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 2
    assert {*json.loads(rows[0])} == {"prompt", "chosen", "rejected"}


@pytest.mark.usefixtures("container")
def test_the_end_of_the_input_leaves(tmp_path: Path) -> None:
    done = rate(tmp_path, "")
    assert (done.exit_code, "8 left" in done.stdout) == (0, True)


def test_keys_answer_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = iter(["x", "\r", "T", "q", "\x03"])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.getchar", lambda: next(keys))
    assert human._choice() is Choice.TIE
    assert human._choice() is None
    assert human._choice() is None


def test_two_models_are_needed(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["eval", "human", "--model", "one", "--prompts", "x"])
    assert done.exception is not None
    assert done.exception.problems[0].code == "human-two-models"  # type: ignore[attr-defined]
