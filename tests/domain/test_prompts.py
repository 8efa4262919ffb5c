"""Prompts: every layout gives the turns up to the person's last one, and a reference or none."""

from typing import Any

import pytest

from domain.alignment import align, detect_format, holds_ranking
from domain.conversation import Role
from domain.dataset import DatasetKind, DataSource, RowFault, StandardRow
from domain.masking import IGNORED
from tests.services.preparing import asking, prepare, refused, sources, text

SOURCE = DataSource(path="rows.jsonl", prompts=True)
TURN = {"role": "user", "content": "Q"}
SAID = {"role": "assistant", "content": "A"}
ROWS: dict[str, list[dict[str, Any]]] = {
    "alpaca": [{"instruction": "Q"}, {"instruction": "Q", "output": "A"}],
    "openai": [{"messages": [TURN]}, {"messages": [TURN, SAID]}],
    "sharegpt": [
        {"conversations": [{"from": "human", "value": "Q"}]},
        {"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]},
    ],
    "trl": [{"prompt": "Q"}, {"prompt": [TURN], "completion": [SAID]}],
    "standard": [{"prompt": [TURN], "response": []}, {"prompt": [TURN], "response": [SAID]}],
}


def aligned(row: dict[str, Any], source: DataSource = SOURCE) -> StandardRow:
    found = detect_format(source, row)
    assert found is not None
    made = align(row, source, found)
    assert isinstance(made, StandardRow)
    return made


@pytest.mark.parametrize("layout", ROWS)
def test_a_row_is_a_prompt_and_its_answer_a_reference(layout: str) -> None:
    for row, reference in zip(ROWS[layout], ("", "A"), strict=True):
        assert detect_format(SOURCE, row) == layout
        found = aligned(row)
        assert found.kind is DatasetKind.PROMPT
        assert [(turn.role, turn.content) for turn in found.prompt] == [(Role.USER, "Q")]
        assert found.responses == ()
        assert found.answer == reference
        assert found.as_json()["answer"] == reference


@pytest.mark.parametrize("layout", ROWS)
def test_a_column_of_references_wins_and_may_hold_a_number(layout: str) -> None:
    for row in ROWS[layout]:
        assert aligned({**row, "answer": 42}).answer == "42"


def test_a_ranking_gives_its_chosen_answer() -> None:
    row = {"instruction": "Q", "chosen": "A", "rejected": "B"}
    source = DataSource(path="rows.jsonl", prompts=True, ranking=holds_ranking(SOURCE, list(row)))
    assert aligned(row, source).answer == "A"


@pytest.mark.parametrize(
    "row",
    [
        {"instruction": "Q", "answer": ["A"]},
        {"messages": [TURN, SAID, SAID]},
        {"messages": [SAID, TURN]},
        {"messages": []},
        {"prompt": []},
    ],
)
def test_what_is_no_prompt_is_a_fault(row: dict[str, Any]) -> None:
    assert isinstance(align(row, SOURCE, detect_format(SOURCE, row) or "trl"), RowFault)


def test_without_prompts_a_row_still_has_to_end_with_an_answer() -> None:
    plain = DataSource(path="rows.jsonl")
    assert isinstance(align({"messages": [TURN]}, plain, "openai"), RowFault)
    assert detect_format(plain, {"instruction": "Q"}) is None


def test_a_prompt_ends_where_its_answer_begins_and_carries_its_reference() -> None:
    eats = asking(stage="grpo", eats=DatasetKind.PROMPT)
    source = DataSource(path="a.jsonl", prompts=True)
    found = prepare({"a.jsonl": [{"instruction": "Q", "answer": "A"}]}, asked=eats, train=(source,))
    (row,) = found.train
    assert text(row) == "user: Q\nassistant: "
    assert set(row.labels) == {IGNORED}
    assert row.asked is not None
    assert row.asked.answer == "A"
    assert row.asked.messages[-1].content == "Q"


def test_a_prompt_is_no_row_of_other_stages() -> None:
    source = DataSource(path="a.jsonl", prompts=True)
    (found,) = refused({"a.jsonl": [{"instruction": "Q"}]}, train=(source,))
    assert found.code == "data-kind-unfit"
    assert sources("a.jsonl")[0].prompts is None
