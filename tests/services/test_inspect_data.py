"""InspectData: the account of rows before training, and rows as they are trained."""

from collections.abc import Mapping
from typing import Any

import pytest
from dependency_injector import providers

from domain.data_report import histogram, percentile
from domain.errors import HextuneError
from domain.run_spec import RunSpec
from entrypoints.services.inspect_data import InspectData
from ports.spec_reader import SpecText
from tests.fakes.container import fake_container
from tests.fakes.models import FakeRowReader

GOOD = {"instruction": "q", "output": "a"}


def inspecting(rows: list[Mapping[str, object]], **data: Any) -> tuple[InspectData, RunSpec]:
    container = fake_container()
    container.rows.override(providers.Object(FakeRowReader({"rows.jsonl": rows})))
    extra = "".join(f", {key}: {value}" for key, value in data.items())
    text = f"model: {{name: fake}}\ndata: {{train: [{{path: rows.jsonl}}]{extra}}}"
    spec = container.spec_reader().read(SpecText(text=text, format="yaml", source="test")).spec
    return container.inspect_data(), spec


def test_a_report_counts_every_row_once_and_says_why_it_is_out() -> None:
    long = {"instruction": "q" * 200, "output": "a"}
    rows: list[Mapping[str, object]] = [
        GOOD,
        long,
        {"instruction": "", "output": "a"},
        GOOD,
        {"instruction": "q"},
    ]
    inspect, spec = inspecting(rows, max_tokens=100)
    report = inspect.report(spec)
    assert report.rows_read == 5
    assert report.kinds == {"conversation": 3}
    assert [line.partition(" ")[0] for line in report.dropped] == ["rows.jsonl:3", "rows.jsonl:5"]
    assert [line.partition(" ")[0] for line in report.too_long] == ["rows.jsonl:2"]
    assert report.duplicates == ["rows.jsonl:4 stands at rows.jsonl:1 too"]
    assert not report.clean
    assert (report.compared, report.equal) == (3, 3)


def test_clean_rows_give_a_clean_report_with_the_trained_share() -> None:
    inspect, spec = inspecting([GOOD])
    report = inspect.report(spec)
    assert report.clean
    # "user: q\nassistant: a\n" is 21 characters, of which "a\n" are trained.
    assert (list(report.lengths), list(report.trained)) == ([21], [2])
    assert report.trained_share == pytest.approx(2 / 21)
    assert report.percentiles == {"p50": 21, "p90": 21, "p95": 21, "p99": 21, "p100": 21}


def test_rows_are_shown_token_by_token_with_what_is_trained() -> None:
    inspect, spec = inspecting([GOOD, {"instruction": "other", "output": "b"}])
    (shown,) = inspect.show(spec, first=2, count=1)
    assert shown.line == 2
    assert "".join(text for text, _, _ in shown.pieces) == "user: other\nassistant: b\n"
    assert "".join(text for text, _, trained in shown.pieces if trained) == "b\n"


def test_rows_are_converted_to_the_standard_structure() -> None:
    inspect, spec = inspecting([{"instruction": "q", "output": "a", "system": "s"}])
    assert list(inspect.standard(spec)) == [
        {
            "prompt": [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}],
            "response": [{"role": "assistant", "content": "a"}],
        }
    ]


def test_showing_bad_rows_is_an_error_with_their_places() -> None:
    inspect, spec = inspecting([{"instruction": "q", "output": None}])
    with pytest.raises(HextuneError) as caught:
        list(inspect.show(spec, first=1, count=1))
    assert str(caught.value.problems[0].place) == "rows.jsonl:1 output"


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [([], 50, 0), ([3], 50, 3), ([1, 2, 3, 4], 50, 2), ([1, 2, 3, 4], 100, 4), ([4, 1], 99, 4)],
)
def test_percentiles_are_values_of_the_list(values: list[int], percent: int, expected: int) -> None:
    assert percentile(values, percent) == expected


def test_every_value_stands_in_one_bin() -> None:
    values = [1, 1, 5, 9, 100]
    bins = histogram(values, 10)
    assert sum(count for _, _, count in bins) == len(values)
    assert (bins[0][0], bins[0][2]) == (1, 4)
    assert all(low <= high for low, high, _ in bins)
    assert histogram([], 10) == []
