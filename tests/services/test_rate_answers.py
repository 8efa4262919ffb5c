"""Human ratings: blind, in an order of chance, resumable, and rows that dpo trains on."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.rating_files import RatingFiles, record_of
from domain.dataset import DatasetKind, DataSource
from domain.errors import HextuneError
from domain.human_ratings import Choice, Pair, win_rates
from domain.model_handle import ResolvedModel
from domain.run_spec import DataSection
from domain.sampling import GenerationRequest, TextDelta
from entrypoints.services.align_data import AlignData
from entrypoints.services.rate_answers import RateAnswers, RatingRequest
from tests.fakes.models import HANDLE, FakeRowReader

ROWS: list[Any] = [{"instruction": f"Question {n}?", "output": "unused"} for n in range(6)]


class Named:
    """An engine that answers with its model's name."""

    def __init__(self, label: str, asked: list[str]) -> None:
        self.label = label
        self.asked = asked

    def generate(self, request: GenerationRequest) -> Any:
        said = request.conversation.messages[-1].content
        self.asked.append(f"{self.label}: {said}")
        same = said == "Question 5?"
        yield TextDelta(text="same" if same else f"{self.label} says {said}")

    def close(self) -> None:
        pass


class Rating:
    """Two models, a person who answers from a list, and what they saw."""

    def __init__(self, folder: Path) -> None:
        self.output = str(folder / "ratings.jsonl")
        self.asked: list[str] = []
        self.seen: list[tuple[str, str]] = []

    def __call__(
        self, *choices: Choice | None, models: tuple[str, str] = ("one", "two"), seed: int = 0
    ) -> Any:
        answers = iter(choices)

        def ask(pair: Pair, number: int, count: int) -> Choice | None:
            self.seen.append(pair.shown(seed))
            return next(answers)

        rate = RateAnswers(
            lambda name: ResolvedModel(label=name, handle=HANDLE, created_at=0.0),  # type: ignore[arg-type]
            lambda model: Named(model.label, self.asked),  # type: ignore[arg-type,return-value]
            FakeRowReader({"rows.jsonl": ROWS}),
            RatingFiles(),
        )
        request = RatingRequest(
            models=models, prompts="rows.jsonl", output=self.output, seed=seed, limit=None,
            max_tokens=9,
        )  # fmt: skip
        return rate(request, ask, lambda *told: None)

    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in Path(self.output).read_text().splitlines()]


A, B, TIE, SKIP = Choice.FIRST, Choice.SECOND, Choice.TIE, Choice.SKIP


def test_choices_become_wins_of_the_model_whose_answer_it_was(tmp_path: Path) -> None:
    rating = Rating(tmp_path)
    found = rating(A, A, B, TIE, SKIP)
    first = [shown[0] for shown in rating.seen]
    assert {*first} == {"one", "two"}  # the order changes
    won = [first[0], first[1], rating.seen[2][1]]
    assert dict(found.wins) == {name: won.count(name) for name in ("one", "two")}
    assert (found.ties, found.skipped, found.unrated) == (2, 1, 0)  # equal answers are a tie
    share = (won.count("one") + 0.5 * 2) / 5
    assert found.rates["one"].value == pytest.approx(share)
    assert found.rates["one"].value + found.rates["two"].value == pytest.approx(1)
    for row, winner in zip(rating.rows(), won, strict=True):
        assert row["chosen"][0]["content"].startswith(f"{winner} says")
        assert not row["rejected"][0]["content"].startswith(winner)


def test_the_rows_are_preferences_that_dpo_takes(tmp_path: Path) -> None:
    rating = Rating(tmp_path)
    rating(A, B, B, TIE, SKIP)
    source = DataSource(path="ratings.jsonl")
    reader = FakeRowReader({"ratings.jsonl": list(rating.rows())})
    aligned, _ = AlignData(reader)(DataSection(train=(source,)), 0)
    assert (aligned.kind, len(aligned.rows)) == (DatasetKind.PREFERENCE, 3)
    (row, *_) = aligned.rows
    assert row.row.prompt[-1].content == "Question 0?"
    assert [turn.content for turn in row.row.responses] == [
        f"{name} says Question 0?" for name in rating.seen[0]
    ]


def test_leaving_keeps_what_was_said_and_asks_nothing_twice(tmp_path: Path) -> None:
    rating = Rating(tmp_path)
    assert rating(A, None).unrated == 4
    assert len(rating.asked) == 12
    found = rating(B, B, B, B)
    assert len(rating.asked) == 12
    assert len(rating.seen) == 6
    assert (found.unrated, sum(found.wins.values())) == (0, 5)


def test_the_seed_decides_the_order(tmp_path: Path) -> None:
    orders: list[list[tuple[str, str]]] = []
    for seed in (0, 0, 1, 2):
        (tmp_path / f"{len(orders)}").mkdir()
        rating = Rating(tmp_path / f"{len(orders)}")
        rating(A, A, A, A, A, seed=seed)
        orders.append(rating.seen)
    assert orders[0] == orders[1]
    assert orders[0] != orders[2] or orders[0] != orders[3]


def code(call: Any) -> str:
    with pytest.raises(HextuneError) as caught:
        call()
    return caught.value.problems[0].code


def test_what_cannot_be_rated_is_refused(tmp_path: Path) -> None:
    rating = Rating(tmp_path)
    assert code(lambda: rating(models=("one", "one"))) == "human-same-model"
    rating(None)
    assert code(lambda: rating(models=("one", "three"))) == "human-other-models"
    record_of(rating.output).write_text("nonsense\n")
    assert code(lambda: rating(None)) == "human-record-damaged"
    (tmp_path / "file").write_text("")
    rating.output = str(tmp_path / "file" / "ratings.jsonl")
    assert code(lambda: rating(None)) == "human-unwritable"


def test_a_model_that_cannot_chat_is_refused_before_anything_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "HANDLE", replace(HANDLE, has_chat_template=False))
    rating = Rating(tmp_path)
    assert code(lambda: rating(None)) == "model-not-chat"
    assert rating.asked == []


def test_without_a_prompt_there_is_nothing_to_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "ROWS", [{"instruction": ""}])
    assert code(lambda: Rating(tmp_path)(None)) == "human-nothing-to-rate"


@pytest.mark.parametrize("texts", [("", "x"), ("x", " "), ("x", "x")])
def test_an_empty_or_equal_answer_makes_no_row(texts: tuple[str, str]) -> None:
    answers = dict(zip(("one", "two"), texts, strict=True))
    assert Pair(item="i", prompt=(), answers=answers, winner="one").preference() is None


def test_no_rating_gives_no_rate() -> None:
    pair = Pair(item="i", prompt=(), answers={"one": "x", "two": "y"})
    found = win_rates([pair], ["one", "two"], 0)
    assert (dict(found.rates), found.p_value, found.unrated) == ({}, 1.0, 1)


def test_a_row_that_was_cut_off_is_never_there(tmp_path: Path) -> None:
    """Each keeping writes whole files, so that a kill in between leaves the ones before."""
    store, output = RatingFiles(), str(tmp_path / "r.jsonl")
    pair = Pair(item="i", prompt=(), answers={"one": "x", "two": "y"}, winner="two")
    store.keep(output, [pair])
    assert store.pairs(output) == [pair]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.jsonl", "r.pairs.jsonl"]
