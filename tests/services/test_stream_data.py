"""Streaming: rows are read as they are needed, and the same stream comes again every time."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.dataset import DatasetKind, DataSource, LocatedRow
from domain.errors import HextuneError
from domain.prepared import EncodedStream, StreamAccount
from domain.run_spec import DataSection
from entrypoints.services.align_data import AlignData
from entrypoints.services.encode_rows import Preparation
from entrypoints.services.prepare_data import STREAMED_SAMPLE, PrepareData
from entrypoints.services.stream_data import StreamData
from tests.fakes.models import FakeEncoder, FakeRowReader
from tests.services.preparing import BAD, LONG, Rows, asking, good, prepare, sources, text
from tests.services.test_prepare_data import Refusing


def stream(
    files: Mapping[str, Rows], asked: Preparation | None = None, **section: Any
) -> StreamData:
    """The stream of a.jsonl unless told otherwise."""
    values: dict[str, Any] = {"train": sources("a.jsonl"), "streaming": True, **section}
    reader = FakeRowReader({path: list(rows) for path, rows in files.items()})
    return StreamData(AlignData(reader), FakeEncoder(), DataSection(**values), asked or asking())


def texts(found: EncodedStream, count: int, skip: int = 0) -> list[str]:
    return ["".join(map(text, rows)) for rows in islice(found, skip, skip + count)]


ROWS = [good(number) for number in range(30)]


def test_every_pass_holds_every_row_once_in_another_order() -> None:
    found = texts(stream({"a.jsonl": ROWS}), 60)
    first, second = found[:30], found[30:]
    assert sorted(first) == sorted(second)
    assert len(set(first)) == 30
    assert first != second


def test_a_buffer_of_one_keeps_the_order_of_the_file() -> None:
    found = texts(stream({"a.jsonl": ROWS}, shuffle_buffer=1), 30)
    assert [f"Answer {number}." in shown for number, shown in enumerate(found)] == [True] * 30


@given(st.integers(0, 80), st.sampled_from([1, 7, 1000]), st.booleans())
def test_a_stream_resumes_with_the_same_rows(seen: int, held: int, packing: bool) -> None:
    asked = asking(packing=packing)
    section: dict[str, Any] = {
        "train": (DataSource(path="a.jsonl"), DataSource(path="b.jsonl", weight=2)),
        "mix": "interleave_over",
        "shuffle_buffer": held,
        "max_tokens": 200,
    }
    files = {"a.jsonl": ROWS, "b.jsonl": [good(100 + number) for number in range(7)]}
    whole = texts(stream(files, asked, **section), 100)
    assert texts(stream(files, asked, **section), 20, skip=seen) == whole[seen : seen + 20]


def test_packing_keeps_every_row_of_a_pass_once() -> None:
    asked = asking(packing=True)
    packed = stream({"a.jsonl": ROWS}, asked, max_tokens=200)
    once = list(packed.once(1))
    assert sorted(text(row) for rows in once for row in rows) == sorted(
        texts(stream({"a.jsonl": ROWS}), 30)
    )
    assert len(once) < 30
    assert all(sum(len(row.input_ids) for row in rows) <= 200 for rows in once)


class EndlessReader(FakeRowReader):
    """Implements ports.datasets.RowReader over rows without an end, and counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.read_rows = 0

    def read(self, source: DataSource) -> Any:
        for number in range(10**12):
            self.read_rows += 1
            yield LocatedRow(values=good(number), file=source.name, line=number + 1)


@pytest.mark.parametrize("mix", ["concat", "interleave_over"])
def test_rows_without_an_end_are_planned_and_streamed(mix: str) -> None:
    reader = EndlessReader()
    data = DataSection(train=sources("a", "b"), mix=mix, streaming=True)  # type: ignore[arg-type]
    prepared = PrepareData(reader)(data, FakeEncoder(), asking())
    assert len(prepared.train) == STREAMED_SAMPLE
    assert prepared.stream is not None
    assert prepared.longest == prepared.stream.limit == 1024
    assert reader.read_rows < 5000


def test_held_out_rows_are_prepared_as_ever() -> None:
    files = {"a.jsonl": ROWS, "e.jsonl": [good(1), good(2)]}
    prepared = prepare(files, streaming=True, eval=sources("e.jsonl"))
    assert (len(prepared.train), len(prepared.eval), prepared.packs) == (30, 2, None)
    assert prepared.formats == {"a.jsonl": "alpaca", "e.jsonl": "alpaca"}


def test_planning_counts_every_row_left_out_of_the_first_ones() -> None:
    rows = [*[BAD] * 30, good()]
    prepared = prepare({"a.jsonl": rows}, streaming=True, on_bad_row="drop")
    assert len(prepared.dropped) == 30


def test_the_fingerprint_tells_the_first_rows_apart() -> None:
    one = prepare({"a.jsonl": ROWS}, streaming=True).fingerprint
    assert one == prepare({"a.jsonl": ROWS}, streaming=True).fingerprint
    assert one != prepare({"a.jsonl": [*ROWS[:-1], good(77)]}, streaming=True).fingerprint


def test_rows_left_out_are_counted_and_the_first_are_listed() -> None:
    rows = [good(), *[BAD] * 30, LONG, good(1)]
    found = stream({"a.jsonl": rows}, on_bad_row="drop", max_tokens=60)
    assert len(texts(found, 2)) == 2
    assert (found.account.rows_read, found.account.left_out) == (33, 31)
    assert found.account.listed[0] == "a.jsonl:2 output: the answer is empty"
    assert len(found.account.listed) == 20


def test_a_bad_row_ends_the_stream_with_its_place() -> None:
    with pytest.raises(HextuneError) as caught:
        texts(stream({"a.jsonl": [good(), BAD]}), 1)
    assert str(caught.value.problems[0].place) == "a.jsonl:2 output"


def test_a_row_the_template_refuses_ends_the_stream_with_its_place() -> None:
    found = replace(stream({"a.jsonl": ROWS}, shuffle_buffer=1), encoder=Refusing())
    with pytest.raises(HextuneError) as caught:
        texts(found, 1)
    assert str(caught.value.problems[0].place) == "a.jsonl:2"


def test_rows_of_another_kind_are_refused_when_they_come() -> None:
    with pytest.raises(HextuneError) as caught:
        texts(stream({"a.jsonl": ROWS}, asking(eats=DatasetKind.TEXT, stage="pretrain")), 1)
    assert caught.value.problems[0].code == "data-kind-unfit"


def test_a_stream_whose_rows_are_all_left_out_ends_with_an_error() -> None:
    with pytest.raises(HextuneError) as caught:
        texts(stream({"a.jsonl": [LONG]}, max_tokens=60), 1)
    assert caught.value.problems[0].code == "data-no-rows"


def test_num_samples_takes_the_first_rows_of_a_source() -> None:
    first = (DataSource(path="a.jsonl", num_samples=4, sample="first"),)
    found = stream({"a.jsonl": ROWS}, train=first)
    assert len(list(found.once(0))) == 4


def test_an_account_is_plain_json() -> None:
    account = StreamAccount()
    account.dropped("a.jsonl:1 why")
    assert account.as_json() == {"rows_read": 0, "left_out": 1, "listed": ["a.jsonl:1 why"]}
