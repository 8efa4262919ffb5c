"""Segments: pieces of text with a label each, as axolotl's input_output has them."""

from typing import Any

import pytest

from domain.alignment import detect_format
from domain.conversation import Conversation
from domain.dataset import DatasetKind, DataSource, StandardRow
from tests.domain.aligning import assistant, fault, row, user

PIECES = [
    {"label": False, "text": "<s>Q"},
    {"label": True, "text": "A</s>"},
    {"label": True, "text": ""},
    {"label": False, "text": "\n"},
]
TRAINED = {"label": True, "text": "A"}


def test_pieces_keep_their_order_and_labels() -> None:
    values = {"segments": PIECES, "id": 3}
    assert detect_format(DataSource(path="x"), values) == "segments"
    found = row(values, "segments")
    assert found == StandardRow(
        kind=DatasetKind.CONVERSATION,
        prompt=(user("<s>Q"), assistant("A</s>")),
        responses=(user("\n"),),
        verbatim=True,
    )
    assert found.conversation() == Conversation(found.messages, verbatim=True)


@pytest.mark.parametrize("other", [None, [], "x", ["x"], [{"start": 0.1, "text": "A"}]])
def test_segments_without_labels_are_something_else(other: object) -> None:
    assert detect_format(DataSource(path="x"), {"segments": other}) is None
    assert detect_format(DataSource(path="x"), {"segments": other, "text": "A"}) == "text"


def test_a_row_written_out_is_read_back_the_same() -> None:
    found = row({"pieces": PIECES}, "segments", columns={"segments": "pieces"})
    written = found.as_json()
    assert written == {"segments": [PIECES[0], PIECES[1], PIECES[3]]}
    assert row(written, "segments") == found


@pytest.mark.parametrize(
    ("values", "place", "reason"),
    [
        ({}, "segments", "it is missing, not a list of segments"),
        ({"segments": "A"}, "segments", "it is text, not a list of segments"),
        ({"segments": []}, "segments", "none of the segments is trained"),
        ({"segments": PIECES[:1]}, "segments", "none of the segments is trained"),
        ({"segments": [PIECES[2]]}, "segments", "none of the segments is trained"),
        ({"segments": ["A"]}, "segments[0]", "it is text, not a segment"),
        ({"segments": [{"text": "A"}]}, "segments[0].label", "it is missing, not true or false"),
        ({"segments": [TRAINED, {"label": 1}]}, "segments[1].label", "it is a number, not true"),
        ({"segments": [{"label": True}]}, "segments[0].text", "it is missing, not text"),
        ({"segments": [TRAINED], "system": "S"}, "system", "segments are written as they stand"),
    ],
)
def test_a_faulty_row_says_where_and_why(values: dict[str, Any], place: str, reason: str) -> None:
    field, found = fault(values, "segments")
    assert field == place
    assert reason in found
