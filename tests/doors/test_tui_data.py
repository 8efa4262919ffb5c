"""The monitor's data screen: the same account and rows as `tune data` gives."""

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import pytest
from dependency_injector import providers
from textual.pilot import Pilot

from domain.dataset import DataSource, LocatedRow
from domain.job import Job
from entrypoints.container import Container
from entrypoints.tui.data_reading import CHUNK_ROWS
from entrypoints.tui.screens.data import DataScreen
from entrypoints.tui.widgets.length_bars import LengthBars, bar
from entrypoints.tui.widgets.row_pane import RowPane
from ports.spec_reader import SpecText
from tests.doors.tui_stage import (
    LANGUAGES,
    NARROW,
    WIDE,
    HeardApp,
    frozen_container,
    opened,
    start,
    text_of,
    until,
)
from tests.fakes.models import FakeRowReader

GOOD = {"instruction": "Question?", "output": "Answer."}
BAD = {"instruction": "Question?", "output": ""}


class HeldReader(FakeRowReader):
    """Reads nothing until told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = Event()

    def read(self, source: DataSource) -> Iterator[LocatedRow]:
        self.go_on.wait(20)
        return super().read(source)


@pytest.fixture
def container() -> Container:
    return frozen_container()


async def looked_at(pilot: Pilot[None], job: Job) -> HeardApp:
    """The app with the data screen open and everything read."""
    app = await opened(pilot, job)
    await pilot.press("d")
    await until(pilot, lambda: isinstance(app.screen, DataScreen) and done(app))
    return app


def done(app: HeardApp) -> bool:
    return not app.screen.query_one("#busy").display and bool(text_of(app, "#counts"))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_the_account_and_the_first_row_are_shown(
    container: Container, language: str, size: tuple[int, int]
) -> None:
    job = start(container, "one")
    async with HeardApp(container, language).run_test(size=size) as pilot:
        app = await looked_at(pilot, job)
        report = container.inspect_data().report(
            container.spec_reader().read(_recorded(container, job)).spec
        )
        assert f"{report.rows_read}" in text_of(app, "#counts")
        assert f"{report.trained_share:.1%}" in text_of(app, "#counts")
        assert "Answer 0." in text_of(app, "#text")


def _recorded(container: Container, job: Job) -> SpecText:
    text = container.jobs().read_text(job, "spec.json") or ""
    return SpecText(text=text, format="json", source="spec.json")


async def test_rows_are_turned_one_by_one_with_and_without_ids(container: Container) -> None:
    job = start(container, "one")
    async with HeardApp(container, "en").run_test(size=WIDE) as pilot:
        app = await looked_at(pilot, job)
        await pilot.press("right", "n")
        assert "Answer 2." in text_of(app, "#text")
        await pilot.press("i")
        assert f"·{ord('A')}" in text_of(app, "#text")
        await pilot.press("i", "left")
        assert "Answer 1." in text_of(app, "#text")
        await pilot.press("left", "left")
        assert "Answer 0." in text_of(app, "#text")


async def test_trained_text_is_told_from_the_rest_without_colours(container: Container) -> None:
    job = start(container, "one")
    async with HeardApp(container, "en").run_test(size=WIDE) as pilot:
        app = await looked_at(pilot, job)
        content = app.screen.query_one("#text").content  # type: ignore[attr-defined]
        marked = [content.plain[span.start : span.end] for span in content.spans]
        assert len(marked) == 1
        assert marked[0].startswith("Answer 0.")
        assert all("underline" in str(span.style) for span in content.spans)


async def test_a_source_that_is_gone_is_said_with_code_and_hint(container: Container) -> None:
    job = start(container, "one")
    container.rows().files.clear()
    async with HeardApp(container, "en").run_test(size=WIDE) as pilot:
        app = await looked_at(pilot, job)
        assert "data-file-missing" in text_of(app, "#counts")
        assert not app.screen.query_one(RowPane).display
        await pilot.press("escape")
        assert app.screen is app.monitor


async def test_the_folder_of_a_run_that_is_gone_is_said(container: Container) -> None:
    job = start(container, "one")
    moved = container.jobs().jobs[job.id].moved(job.status, working_folder="/no/such/folder")
    container.jobs().jobs[job.id] = moved
    async with HeardApp(container, "en").run_test(size=WIDE) as pilot:
        app = await looked_at(pilot, moved)
        assert "run-folder-gone" in text_of(app, "#counts")


async def test_without_a_run_there_is_nothing_to_look_at(container: Container) -> None:
    async with HeardApp(container, "en").run_test(size=WIDE) as pilot:
        app = pilot.app
        assert isinstance(app, HeardApp)
        await pilot.press("d")
        assert app.said == [("", "No run is selected.")]


async def test_the_screen_lives_and_can_be_left_while_rows_are_read(container: Container) -> None:
    job = start(container, "one")
    held = HeldReader()
    container.rows.override(providers.Object(held))
    async with HeardApp(container, "en").run_test(size=NARROW) as pilot:
        app = await opened(pilot, job)
        await pilot.press("d", "right", "left", "i")
        assert app.screen.query_one("#busy").display
        assert text_of(app, "#busy") == "reading… 0:00"
        await pilot.press("escape")
        assert app.screen is app.monitor
        held.go_on.set()
        await looked_at(pilot, job)
        assert "Answer 0." in text_of(app, "#text")


async def test_bad_rows_of_a_spec_that_allows_none_are_told_beside_the_account(
    container: Container,
) -> None:
    job = start(container, "one")
    container.rows().files["rows.jsonl"] = [GOOD, BAD]
    async with HeardApp(container, "en").run_test(size=WIDE) as pilot:
        app = await looked_at(pilot, job)
        shown = text_of(app, "#text")
        assert shown.startswith("✖ rows.jsonl:2 output: This row cannot be used")
        assert "[data-bad-row]" in shown
        assert "data.on_bad_row=drop" in shown
        counts = text_of(app, "#counts")
        assert "unusable     1 ▲" in counts
        assert "\n  rows.jsonl:2" in counts
        await pilot.press("right", "i", "left")
        assert text_of(app, "#text") == shown


@pytest.mark.parametrize("language", LANGUAGES)
async def test_without_a_usable_row_it_says_so(container: Container, language: str) -> None:
    job = start(container, "one")
    container.rows().files["rows.jsonl"] = [BAD]
    spec = container.jobs().files[job.id, "spec.json"]
    lenient = spec.replace('"on_bad_row":"error"', '"on_bad_row":"drop"')
    assert lenient != spec
    container.jobs().files[job.id, "spec.json"] = lenient
    async with HeardApp(container, language).run_test(size=NARROW) as pilot:
        app = await looked_at(pilot, job)
        assert text_of(app, "#text") == app.texts("tui.data.no_rows")
        assert "0.0%" in text_of(app, "#counts")
        await pilot.press("right", "left", "i")


async def test_a_file_without_rows_is_an_error_with_its_code(container: Container) -> None:
    job = start(container, "one")
    container.rows().files["rows.jsonl"] = []
    async with HeardApp(container, "en").run_test(size=NARROW) as pilot:
        app = await looked_at(pilot, job)
        assert "[data-no-rows]" in text_of(app, "#counts")


async def test_a_spec_on_record_that_cannot_be_read_is_told(container: Container) -> None:
    job = start(container, "one")
    container.jobs().files[job.id, "spec.json"] = '{"model": {"name": "fake"}, "data": {}}'
    async with HeardApp(container, "en").run_test(size=NARROW) as pilot:
        app = await looked_at(pilot, job)
        assert "✖ spec.json" in text_of(app, "#counts")


async def test_what_should_not_happen_is_told_too(
    container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = start(container, "one")

    def broken(self: FakeRowReader, source: DataSource) -> Iterator[LocatedRow]:
        raise ZeroDivisionError("by nought")

    monkeypatch.setattr(FakeRowReader, "read", broken)
    async with HeardApp(container, "en").run_test(size=NARROW) as pilot:
        app = await looked_at(pilot, job)
        assert "ZeroDivisionError: by nought. [unexpected]" in text_of(app, "#counts")
        assert f"{job.folder}/spec.json" in text_of(app, "#counts")


async def test_more_rows_are_read_at_the_end_of_those_there_are(container: Container) -> None:
    job = start(container, "one")
    rows = [{"instruction": "Which?", "output": f"Row {n}."} for n in range(CHUNK_ROWS + 2)]
    container.rows().files["rows.jsonl"] = rows
    async with HeardApp(container, "en").run_test(size=WIDE) as pilot:
        app = await looked_at(pilot, job)
        assert str(app.screen.query_one(RowPane).border_title).startswith(f"row 1 of {CHUNK_ROWS}+")
        await pilot.press(*["right"] * CHUNK_ROWS)
        await until(pilot, lambda: f"Row {CHUNK_ROWS}." in text_of(app, "#text"))
        await pilot.press("right", "right")
        assert f"Row {CHUNK_ROWS + 1}." in text_of(app, "#text")
        count = CHUNK_ROWS + 2
        title = str(app.screen.query_one(RowPane).border_title)
        assert title.startswith(f"row {count} of {count} · rows.jsonl:{count} · ")


async def test_both_answers_of_a_preference_are_shown_as_one_row(container: Container) -> None:
    job = start(container, "one")
    pair = {"instruction": "Which?", "chosen": "Good.", "rejected": "Poor."}
    container.rows().files["rows.jsonl"] = [pair]
    async with HeardApp(container, "en").run_test(size=WIDE) as pilot:
        app = await looked_at(pilot, job)
        pane = app.screen.query_one(RowPane)
        assert "Good." in text_of(app, "#text")
        assert "row 1 of 1 · chosen" in str(pane.border_title)
        await pilot.press("n")
        assert "Poor." in text_of(app, "#text")
        assert "row 1 of 1 · rejected" in str(pane.border_title)


async def test_a_long_row_scrolls_and_the_next_starts_at_its_top(container: Container) -> None:
    job = start(container, "one")
    long = {"instruction": "Tell.", "output": "word " * 900}
    container.rows().files["rows.jsonl"] = [long, GOOD, long]
    async with HeardApp(container, "en").run_test(size=NARROW) as pilot:
        app = await looked_at(pilot, job)
        pane = app.screen.query_one(RowPane)
        await pilot.press("end")
        await until(pilot, lambda: pane.scroll_offset.y > 0)
        await pilot.press("right", "right")
        await until(pilot, lambda: pane.max_scroll_y > 0 and pane.scroll_offset.y == 0)
        bars = str(app.screen.query_one(LengthBars).render())
        assert [line.split()[0] for line in bars.splitlines()[-2:-1]] == [">1,024"]
        assert bars.splitlines()[-2].split()[-1] == "2"


def test_a_bar_of_one_among_many_is_still_seen() -> None:
    assert bar(0.0, 10) == ""
    assert bar(0.0001, 10) == "▏"
    assert bar(0.5, 3) == "█▌"
    assert bar(1.0, 3) == "███"


async def test_a_runs_relative_paths_start_from_its_own_folder(
    container: Container, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = start(container, "one")
    moved = container.jobs().jobs[job.id].moved(job.status, working_folder=str(tmp_path))
    container.jobs().jobs[job.id] = moved
    seen = []
    real = FakeRowReader.read

    def read(self: FakeRowReader, source: DataSource) -> Iterator[LocatedRow]:
        seen.append(Path.cwd())
        return real(self, source)

    monkeypatch.setattr(FakeRowReader, "read", read)
    before = Path.cwd()
    async with HeardApp(container, "en").run_test(size=NARROW) as pilot:
        await looked_at(pilot, moved)
    assert seen == [tmp_path] * 2
    assert Path.cwd() == before


@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_the_data_of_a_run(
    container: Container, snap_compare: Callable[..., bool], size: tuple[int, int]
) -> None:
    job = start(container, "support-answers")
    long = {"instruction": "Tell me all.", "output": "This and that, and more. " * 60}
    short = [{"instruction": f"Why {'so ' * n}?", "output": "Because.\nNo."} for n in range(12)]
    container.rows().files["rows.jsonl"] = [*short, long, short[3]]

    async def look(pilot: Pilot[None]) -> None:
        await looked_at(pilot, job)
        await pilot.press("right")
        await pilot.pause(0.2)

    assert snap_compare(HeardApp(container, "en"), terminal_size=size, run_before=look)
