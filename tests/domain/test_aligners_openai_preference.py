"""OpenAI's preference rows: an input with two outputs."""

from collections.abc import Mapping
from typing import Any

import pytest

from domain.alignment import align, detect_format
from domain.conversation import Role
from domain.dataset import DatasetKind, DataSource, RowFault, StandardRow

SOURCE = DataSource(path="rows.jsonl")
ASKED = {"role": "user", "content": "one"}
ROW: Mapping[str, Any] = {
    "input": {"messages": [ASKED], "tools": [], "parallel_tool_calls": True},
    "preferred_output": [{"role": "assistant", "content": "two"}],
    "non_preferred_output": [{"role": "assistant", "content": "three"}],
}


def test_a_row_is_a_preference() -> None:
    assert detect_format(SOURCE, ROW) == "openai_preference"
    found = align(ROW, SOURCE, "openai_preference")
    assert isinstance(found, StandardRow)
    assert found.kind is DatasetKind.PREFERENCE
    assert [(turn.role, turn.content) for turn in found.messages] == [
        (Role.USER, "one"),
        (Role.ASSISTANT, "two"),
        (Role.ASSISTANT, "three"),
    ]


def test_tools_of_the_input_are_kept() -> None:
    tool = {"type": "function", "function": {"name": "look", "parameters": {}}}
    found = align({**ROW, "input": {"messages": [ASKED], "tools": [tool]}}, SOURCE, FORMAT)
    assert isinstance(found, StandardRow)
    assert [dict(each) for each in found.tools] == [tool]


FORMAT = "openai_preference"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"input": "one"}, "input"),
        ({"input": {}}, "input.messages"),
        ({"input": {"messages": [{"role": "cat"}]}}, "input.messages[0].role"),
        ({"preferred_output": []}, "preferred_output"),
        ({"non_preferred_output": ROW["preferred_output"]}, "non_preferred_output"),
    ],
)
def test_faults_name_the_rows_own_columns(changes: dict[str, Any], field: str) -> None:
    found = align({**ROW, **changes}, SOURCE, FORMAT)
    assert isinstance(found, RowFault)
    assert found.field == field
