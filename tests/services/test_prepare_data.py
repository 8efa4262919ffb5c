"""Preparing data: every row is used, or accounted for, or an error with its place."""

from collections.abc import Sequence

import pytest

from domain.conversation import Conversation
from domain.dataset import DataSource
from domain.errors import HextuneError, fail
from domain.masking import EncodedRow, TrainOn
from domain.run_spec import DataSection
from entrypoints.services.align_data import SHOWN_BAD_ROWS
from entrypoints.services.prepare_data import PrepareData
from tests.fakes.models import FakeEncoder, FakeRowReader
from tests.services.preparing import (
    BAD,
    CHAT,
    LONG,
    Rows,
    asking,
    good,
    prepare,
    refused,
    sources,
    text,
)


def test_rows_of_several_files_follow_each_other() -> None:
    data = prepare({"a.jsonl": [good(1), good(2)], "b": [CHAT]}, train=sources("a.jsonl", "b"))
    assert [text(row) for row in data.train] == [
        "user: Question 1?\nassistant: Answer 1.\n",
        "user: Question 2?\nassistant: Answer 2.\n",
        "user: Q\nassistant: A\n",
    ]
    assert dict(data.formats) == {"a.jsonl": "alpaca", "b": "sharegpt"}
    assert (data.rows_read, list(data.dropped), list(data.too_long)) == (3, [], [])


def test_only_answers_are_trained_unless_told_otherwise() -> None:
    row = prepare({"a.jsonl": [good()]}).train[0]
    trained = [i for i, label in enumerate(row.labels) if label != -100]
    assert text(row)[trained[0] : trained[-1] + 1] == "Answer 0.\n"
    whole = prepare({"a.jsonl": [good()]}, train_on="everything").train[0]
    assert whole.trained_tokens == len(whole.input_ids)


# -- bad rows ---------------------------------------------------------------------------------


def test_bad_rows_are_errors_with_their_places() -> None:
    found = refused({"a.jsonl": [good(), BAD, {"instruction": 3, "output": "A"}]})
    assert [(item.code, str(item.place), item.facts["reason"]) for item in found] == [
        ("data-bad-row", "a.jsonl:2 output", "the answer is empty"),
        ("data-bad-row", "a.jsonl:3 instruction", "it is a number, not text"),
    ]


def test_bad_rows_are_dropped_counted_and_listed_where_asked() -> None:
    data = prepare({"a.jsonl": [BAD, good(), BAD]}, on_bad_row="drop")
    assert (len(data.train), data.rows_read) == (1, 3)
    assert list(data.dropped) == [
        "a.jsonl:1 output: the answer is empty",
        "a.jsonl:3 output: the answer is empty",
    ]


def test_more_than_twenty_bad_rows_of_a_file_are_summarised() -> None:
    files: dict[str, Rows] = {"a.jsonl": [BAD] * (SHOWN_BAD_ROWS + 7), "b": [BAD, good()]}
    found = refused(files, train=sources("a.jsonl", "b"))
    assert [item.code for item in found].count("data-bad-row") == SHOWN_BAD_ROWS + 1
    last = found[-1]
    assert (last.code, last.facts) == ("data-more-bad-rows", {"count": "7", "path": "a.jsonl"})
    exactly = refused({"a.jsonl": [BAD] * SHOWN_BAD_ROWS})
    assert {item.code for item in exactly} == {"data-bad-row"}


def test_a_file_without_a_row_is_an_error() -> None:
    files: dict[str, Rows] = {"a.jsonl": [], "b": [good()]}
    found = refused(files, train=sources("b", "a.jsonl"))
    assert [(item.code, item.place.file) for item in found] == [("data-no-rows", "a.jsonl")]


def test_a_file_of_bad_rows_alone_is_dropped_row_by_row_where_asked() -> None:
    files: dict[str, Rows] = {"a.jsonl": [BAD, BAD], "b": [good()]}
    data = prepare(files, train=sources("b", "a.jsonl"), on_bad_row="drop")
    assert (len(data.train), len(data.dropped), data.rows_read) == (1, 2, 3)


# -- formats and files --------------------------------------------------------------------------


def test_a_format_that_is_not_clear_is_asked_for_with_the_columns_found() -> None:
    found = refused({"a.jsonl": [{"question": "Q", "answer": "A"}]})
    assert [(item.code, str(item.place), item.facts["columns"]) for item in found] == [
        ("data-format-unclear", "a.jsonl:1", "question, answer")
    ]
    assert refused({"a.jsonl": [{}]})[0].facts["columns"] == "none"


def test_a_format_that_is_named_is_not_guessed() -> None:
    named = (DataSource(path="a.jsonl", format="sharegpt"),)
    found = refused({"a.jsonl": [good()]}, train=named)
    assert [str(item.place) for item in found] == ["a.jsonl:1 conversations"]


def test_problems_of_all_files_come_at_once_and_missing_ones_point_into_the_spec() -> None:
    found = refused(
        {"a.jsonl": [BAD], "odd": [{"x": 1}]},
        train=sources("gone", "a.jsonl"),
        eval=sources("odd", "gone too"),
    )
    assert [(item.code, str(item.place)) for item in found] == [
        ("data-file-missing", "data.train.0.path"),
        ("data-bad-row", "a.jsonl:1 output"),
        ("data-format-unclear", "odd:1"),
        ("data-file-missing", "data.eval.1.path"),
    ]


def test_checking_reads_and_aligns_without_a_tokenizer() -> None:
    service = PrepareData(FakeRowReader({"a.jsonl": [good()]}))
    service.check(DataSection(train=sources("a.jsonl")), seed=1)
    with pytest.raises(HextuneError):
        PrepareData(FakeRowReader({"a.jsonl": [BAD]})).check(
            DataSection(train=sources("a.jsonl")), seed=1
        )


# -- lengths ------------------------------------------------------------------------------------


def test_longer_rows_are_dropped_counted_and_listed() -> None:
    data = prepare({"a.jsonl": [good(), LONG]}, max_tokens=50)
    assert len(data.train) == 1
    assert list(data.too_long) == ["a.jsonl:2 120 tokens, dropped"]
    assert data.rows_read == 2


def test_longer_rows_are_errors_where_asked() -> None:
    found = refused({"a.jsonl": [LONG, good(), LONG]}, max_tokens=50, over_long="error")
    assert [(item.code, str(item.place)) for item in found] == [
        ("data-row-too-long", "a.jsonl:1"),
        ("data-row-too-long", "a.jsonl:3"),
    ]
    assert found[0].facts == {"tokens": "120", "limit": "50"}


def test_a_row_of_exactly_the_limit_is_kept() -> None:
    assert len(prepare({"a.jsonl": [LONG]}, max_tokens=120).train) == 1
    assert len(prepare({"a.jsonl": [LONG]}, max_tokens=119).train) == 0


def test_without_a_limit_the_models_context_is_the_limit() -> None:
    assert len(prepare({"a.jsonl": [LONG]}, asked=asking(context_tokens=120)).train) == 1
    assert len(prepare({"a.jsonl": [LONG]}, asked=asking(context_tokens=119)).train) == 0


def test_only_the_first_rows_are_used_where_asked_after_dropping_bad_ones() -> None:
    files: dict[str, Rows] = {"a.jsonl": [BAD, good(1), good(2), good(3)]}
    data = prepare(files, max_samples=2, on_bad_row="drop")
    assert [text(row).split("\n")[0] for row in data.train] == [
        "user: Question 1?",
        "user: Question 2?",
    ]


# -- held-out rows ------------------------------------------------------------------------------


def test_held_out_rows_come_from_their_own_files() -> None:
    data = prepare({"a.jsonl": [good(1)], "b": [good(2), LONG]}, eval=sources("b"), max_tokens=50)
    assert (len(data.train), len(data.eval), data.rows_read) == (1, 1, 3)
    assert list(data.too_long) == ["b:2 120 tokens, dropped"]


def test_a_fraction_is_held_out_of_the_training_rows() -> None:
    files = {"a.jsonl": [good(number) for number in range(10)]}
    data = prepare(files, eval_fraction=0.2)
    whole = prepare(files)
    assert (len(data.train), len(data.eval)) == (8, 2)
    assert sorted(map(text, (*data.train, *data.eval))) == sorted(map(text, whole.train))
    assert data.fingerprint == whole.fingerprint


# -- fingerprints and templates -------------------------------------------------------------------


def test_the_fingerprint_is_of_the_conversations_not_of_the_files() -> None:
    one = prepare({"a.jsonl": [good(1), good(2)]}).fingerprint
    other = {"a.jsonl": [good(1)], "b": [{**good(2), "id": 5}]}
    assert prepare(other, train=sources("a.jsonl", "b")).fingerprint == one
    assert prepare({"a.jsonl": [good(2), good(1)]}).fingerprint != one
    moved = prepare({"a.jsonl": [good(1)], "b": [good(2)]}, eval=sources("b"))
    assert moved.fingerprint != one
    assert moved.template_fingerprint == "fake-template"


class Refusing(FakeEncoder):
    """An encoder whose template refuses every second row."""

    def encode_all(
        self, conversations: Sequence[Conversation], train_on: TrainOn
    ) -> Sequence[EncodedRow | HextuneError]:
        refusal = fail("data-template-refused", reason="no system turns")
        rows = super().encode_all(conversations, train_on)
        return [refusal if number % 2 else row for number, row in enumerate(rows)]


def test_a_row_the_template_refuses_has_its_place() -> None:
    found = refused({"a.jsonl": [good(number) for number in range(5)]}, encoder=Refusing())
    assert [(item.code, str(item.place)) for item in found] == [
        ("data-template-refused", "a.jsonl:2"),
        ("data-template-refused", "a.jsonl:4"),
    ]
