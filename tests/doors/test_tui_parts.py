"""The parts of the monitor that need no screen: curves in dots, records, rows, lines, columns."""

import math
from pathlib import Path

import pytest

from adapters.translate import JsonTranslator
from domain.errors import HextuneError, problem
from domain.events import EventKind, JobEvent
from domain.fingerprint import Json
from domain.job import JobStatus
from domain.metrics import Point
from entrypoints.container import make_container
from entrypoints.tui.app import run_monitor
from entrypoints.tui.event_lines import PHASES, event_line
from entrypoints.tui.once import snapshot_text
from entrypoints.tui.record import RunRecord
from entrypoints.tui.runs import RunReader, RunRow, matches
from entrypoints.tui.shown import Texts, age, clock, fit
from entrypoints.tui.widgets.plot import Axes, Braille, fitting_axes
from tests.doors.tui_stage import LANGUAGES, frozen_container, start, start_running, train

PROBLEM = problem("run-lost", name="20231114-221320-run-000000").as_json()


def event(seq: int, kind: EventKind, **data: Json) -> JobEvent:
    return JobEvent(seq=seq, at=1000.0 + seq, kind=kind, data=data)


def texts(language: str = "en") -> Texts:
    return Texts(JsonTranslator(), language)


# -- the plot -----------------------------------------------------------------------------------
def test_braille_dots_stand_where_unicode_says() -> None:
    cells = Braille(2, 1)
    cells.dot(0, 0)
    cells.dot(3, 3)
    assert [cells.character(column, 0) for column in (0, 1)] == ["⠁", "⢀"]


def test_a_line_is_drawn_without_gaps() -> None:
    cells = Braille(4, 1)
    cells.line([(0, 3), (7, 3)])
    assert "".join(cells.character(column, 0) for column in range(4)) == "⣀⣀⣀⣀"
    upright = Braille(1, 2)
    upright.line([(0, 0), (0, 7)])
    assert [upright.character(0, row) for row in range(2)] == ["⡇", "⡇"]


def test_axes_put_first_low_at_the_bottom_left_and_last_high_at_the_top_right() -> None:
    axes = Axes(10, 5, 1, 100, 0.5, 2.5)
    assert axes.dot(Point(1, 0.5)) == (0, 19)
    assert axes.dot(Point(100, 2.5)) == (19, 0)
    assert axes.dot(Point(100, 99.0)) == (19, 0)


def test_ticks_are_round_and_in_the_row_of_their_value() -> None:
    assert Axes(10, 12, 1, 100, 0.4, 3.2).ticks() == {9: "1", 5: "2", 0: "3"}
    assert Axes(10, 9, 1, 100, 0.012, 0.03).ticks() == {4: "0.02", 0: "0.03"}


def test_a_log_axis_gives_decades_equal_room() -> None:
    axes = Axes(10, 25, 1, 100, 0.01, 100.0, log=True)
    rows = [axes.dot(Point(1, value))[1] for value in (100.0, 1.0, 0.01)]
    assert rows == [0, 50, 99]
    assert axes.ticks() == {24: "0.01", 18: "0.1", 12: "1", 6: "10", 0: "100"}
    assert list(Axes(10, 12, 1, 9, 0.9, 9.0, log=True).ticks().values()) == ["1", "2", "5"]
    assert Axes(10, 12, 1, 9, 0.9, 1.9, log=True).ticks() == {10: "1.0", 3: "1.5"}


def test_axes_leave_out_what_cannot_be_drawn() -> None:
    points = [Point(1, math.nan), Point(2, -1.0), Point(3, 2.0), Point(4, 4.0)]
    linear = fitting_axes([points], 10, 5, log=False)
    log = fitting_axes([points], 10, 5, log=True)
    assert linear is not None
    assert log is not None
    assert (linear.low, linear.high) == (-1.0, 4.0)
    assert (log.low, log.high) == (2.0, 4.0)
    assert fitting_axes([points[:2]], 10, 5, log=True) is None
    assert fitting_axes([[]], 10, 5, log=False) is None


def test_a_flat_curve_runs_through_the_middle() -> None:
    axes = fitting_axes([[Point(1, 2.0), Point(2, 2.0)]], 10, 5, log=False)
    assert axes is not None
    assert axes.dot(Point(1, 2.0))[1] in (9, 10)
    assert axes.ticks()


# -- records and rows ---------------------------------------------------------------------------
def test_a_record_adds_events_up() -> None:
    record = RunRecord()
    record.add(event(1, EventKind.CREATED, total_steps=9, spec_hash="a"))
    for step in (1, 2, 3):
        record.add(event(1 + step, EventKind.STEP, step=step, loss=3.0 - step, grad_norm=None))
    record.add(event(5, EventKind.CHECKPOINT, step=2, path="there"))
    assert (record.seq, record.step, record.first_at) == (5, 3, 1001.0)
    assert record.losses == [(1, 2.0), (2, 1.0), (3, 0.0)]
    assert record.gradients == []
    assert record.unsaved_steps == 1


def test_steps_trained_again_replace_those_that_were_lost() -> None:
    record = RunRecord()
    for seq, (step, loss) in enumerate([(1, 3.0), (2, 2.0), (3, 1.0), (2, 9.0)], start=1):
        record.add(event(seq, EventKind.STEP, step=step, loss=loss))
    assert record.losses == [(1, 3.0), (2, 9.0)]
    assert record.step == 2


def test_a_reader_reads_the_events_of_an_ended_run_once() -> None:
    container = frozen_container()
    start(container, "done")
    live = start_running(container, "live")
    reader = RunReader(container)
    assert [row.loss for row in reader.listed()] == [None, None]
    train(container, live, 1, 4)
    assert [(row.step, row.loss) for row in reader.read()] == [(4, 0.5), (3, 2 / 3)]
    container.jobs().log[reader.read()[1].job.id].clear()
    train(container, live, 5, 5)
    assert [row.step for row in reader.read()] == [5, 3]


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ("", True),
        ("alpha", True),
        ("ALPHA succ", True),
        ("заверш", True),
        ("alpha beta", False),
        ("!alpha", False),
        ("!beta", True),
        ("!", False),
    ],
)
def test_a_filter_wants_every_word_and_no_negated_one(wanted: str, fits: bool) -> None:
    job = start(frozen_container(), "alpha").moved(JobStatus.SUCCEEDED)
    row = RunRow(job=job)
    assert matches(row, wanted, "завершён") is fits


# -- lines and columns --------------------------------------------------------------------------
DATA: dict[EventKind, dict[str, Json]] = {
    EventKind.CREATED: {"spec_hash": "ab", "total_steps": 9},
    EventKind.PHASE: {"phase": "loading"},
    EventKind.STEP: {"step": 7, "total_steps": 9, "loss": 1.25, "learning_rate": 2e-4},
    EventKind.PROGRESS: {
        "step": 7,
        "total_steps": 9,
        "title": "mmlu",
        "per_s": 1.5,
        "eta_s": 2.0,
    },
    EventKind.EVALUATION: {"step": 7, "loss": 1.25, "perplexity": 3.49},
    EventKind.SAMPLE: {"step": 7, "prompt": "How much?", "text": "Two,\n or three."},
    EventKind.CHECKPOINT: {"step": 7, "path": "there"},
    EventKind.WARNING: PROBLEM,
    EventKind.PART: {
        "name": "dpo",
        "number": 2,
        "count": 3,
        "run": "20261124-dpo",
        "status": "running",
    },
    EventKind.RESUMED: {"step": 7},
    EventKind.SUCCEEDED: {"loss": 1.25},
    EventKind.FAILED: {**PROBLEM, "others": []},
    EventKind.STOPPED: {"step": 7},
}
SHOWN = {
    EventKind.CREATED: ["9"],
    EventKind.STEP: ["7/9", "1.2500", "2.00e-04"],
    EventKind.PROGRESS: ["mmlu", "7/9", "1.50"],
    EventKind.EVALUATION: ["7", "1.2500", "3.49"],
    EventKind.SAMPLE: ["7", "How much? → Two, or three."],
    EventKind.CHECKPOINT: ["7"],
    EventKind.RESUMED: ["7"],
    EventKind.STOPPED: ["7"],
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", list(EventKind))
def test_every_event_has_a_line_with_its_figures(language: str, kind: EventKind) -> None:
    line = event_line(texts(language), event(1, kind, **DATA[kind]))
    assert line
    assert [figure for figure in SHOWN.get(kind, []) if figure not in line] == []


def test_a_failure_says_why_in_the_chosen_language() -> None:
    line = event_line(texts("zh"), event(1, EventKind.FAILED, **DATA[EventKind.FAILED]))
    assert line == "运行失败：该运行的工作进程已经消失。"


@pytest.mark.parametrize("language", LANGUAGES)
def test_phases_have_names_and_an_unknown_one_is_shown_as_it_is(language: str) -> None:
    for phase in PHASES:
        assert event_line(texts(language), event(1, EventKind.PHASE, phase=phase))
    assert event_line(texts(language), event(1, EventKind.PHASE, phase="dreaming")) == "dreaming"


def test_a_recorded_problem_is_translated_unless_another_version_wrote_it() -> None:
    assert texts("ru").recorded(PROBLEM)[0] == "Рабочий процесс этого запуска исчез."
    later = {**PROBLEM, "code": "of-the-future"}
    assert texts("ru").recorded(later) == (PROBLEM["message"], PROBLEM["hint"])
    earlier = {**PROBLEM, "code": "run-out-of-memory", "facts": {"planned": "5 GiB"}}
    assert texts("ru").recorded(earlier) == (PROBLEM["message"], PROBLEM["hint"])


def test_ages_and_clocks_use_their_largest_unit() -> None:
    seconds = (0, 59, 60, 3599, 3600, 86_400)
    assert [age(texts(), value) for value in seconds] == [
        "0 s", "59 s", "1 min", "59 min", "1 h", "1 d",
    ]  # fmt: skip
    assert [clock(value) for value in (None, 5, 65, 3725)] == ["–", "0:05", "1:05", "1:02:05"]


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("abc", 5, "abc  "),
        ("abcdef", 4, "abc…"),
        ("验证损失", 10, "验证损失  "),
        ("验证损失", 6, "验证 …"),
    ],
)
def test_columns_count_cells_not_characters(text: str, width: int, expected: str) -> None:
    assert fit(text, width) == expected


# -- once ---------------------------------------------------------------------------------------
def test_the_runs_as_plain_text() -> None:
    container = frozen_container()
    older = start(container, "older")
    newer = start(container, "newer")
    assert snapshot_text(container, "en").splitlines() == [
        "run                           status     step  loss    age",
        f"{newer.id}  succeeded  3/3   0.6667  0 s",
        f"{older.id}  succeeded  3/3   0.6667  10 min",
    ]


def test_without_runs_the_text_says_how_to_start_one() -> None:
    assert snapshot_text(frozen_container(), "zh") == "还没有运行。用 `tune train run.yaml` 开始。"


def test_a_run_that_is_not_there_is_an_error_before_the_screen_opens(tmp_path: Path) -> None:
    with pytest.raises(HextuneError) as caught:
        run_monitor(make_container(str(tmp_path)), language="en", run="nothing")
    assert caught.value.problems[0].code == "run-missing"
