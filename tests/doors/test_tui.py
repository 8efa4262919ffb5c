"""The monitor, driven by keys over fakes: it shows runs, follows them, and touches none unasked."""

import pytest
from rich.cells import cell_len
from textual.widgets import Button, Static

from domain.events import EventKind
from domain.job import JobStatus
from entrypoints.tui.keys import KEYS, Scope, bindings
from entrypoints.tui.screens.data import DataScreen
from entrypoints.tui.screens.help import HelpScreen
from entrypoints.tui.screens.stop import StopScreen
from tests.doors.tui_stage import (
    LANGUAGES,
    NARROW,
    WIDE,
    HeardApp,
    frozen_container,
    opened,
    start,
    start_running,
    text_of,
    train,
    until,
)
from tests.fakes.training import step_data


async def test_the_newest_run_is_shown_with_its_figures() -> None:
    container = frozen_container()
    start(container, "older")
    newer = start(container, "newer")
    async with HeardApp(container, "en").run_test(size=WIDE) as pilot:
        app = await opened(pilot, newer)
        names = [option.id for option in app.monitor.runs.options.options]
        assert [name.split("-", 2)[2] for name in names if name] == ["newer-000001", "older-000000"]
        head = text_of(app, "#head")
        assert "succeeded" in head
        assert "fake · lora · sft" in head
        assert newer.spec_hash[:12] in head
        assert "3/3  100%" in text_of(app, "#bar")
        assert "0.6667" in text_of(app, "#figures")
        assert "the run succeeded" in text_of(app, "#lines")


async def test_moving_down_shows_another_run() -> None:
    container = frozen_container()
    older = start(container, "older")
    newer = start(container, "newer")
    async with HeardApp(container, "en").run_test(size=WIDE) as pilot:
        await opened(pilot, newer)
        await pilot.press("down")
        app = await opened(pilot, older)
        assert str(app.monitor.view.border_title) == older.id


async def test_a_run_named_on_the_command_line_is_open_at_once() -> None:
    container = frozen_container()
    older = start(container, "older")
    start(container, "newer")
    async with HeardApp(container, "en", older.id).run_test(size=NARROW) as pilot:
        app = await opened(pilot, older)
        assert app.monitor.view.display
        assert not app.monitor.runs.display
        await pilot.press("escape")
        assert app.monitor.runs.display
        assert not app.monitor.view.display


async def test_a_run_that_is_not_there_is_said_in_the_chosen_language() -> None:
    container = frozen_container()
    start(container, "only")
    async with HeardApp(container, "ru", "nothing").run_test() as pilot:
        app = pilot.app
        assert isinstance(app, HeardApp)
        await until(pilot, lambda: bool(app.said))
        assert "Запуска `nothing`" in app.said[0][0]
        assert "`tune runs`" in app.said[0][1]


async def test_events_that_arrive_while_watching_are_shown() -> None:
    container = frozen_container()
    job = start_running(container, "live")
    train(container, job, 1, 5)
    async with HeardApp(container, "en").run_test(size=WIDE) as pilot:
        app = await opened(pilot, job)
        assert app.monitor.record.step == 5
        train(container, job, 6, 9)
        await until(pilot, lambda: app.monitor.record.step == 9)
        assert "step 9/400" in text_of(app, "#lines")
        container.jobs().append(
            job, EventKind.EVALUATION, {"step": 9, "loss": 0.5, "perplexity": 2}
        )
        container.jobs().end(job, EventKind.STOPPED, {"step": 9})
        await until(pilot, lambda: "stopped" in text_of(app, "#head"))
        assert app.monitor.record.evaluations == [(9, 0.5)]


async def test_a_run_resumed_elsewhere_is_followed_again_and_its_curve_goes_back() -> None:
    container = frozen_container()
    job = start_running(container, "again")
    train(container, job, 1, 8)
    container.jobs().end(job, EventKind.STOPPED, {"step": 8})
    async with HeardApp(container, "en").run_test() as pilot:
        app = await opened(pilot, job)
        store = container.jobs()
        store.jobs[job.id] = store.jobs[job.id].moved(JobStatus.RUNNING, ended_at=None)
        store.append(job, EventKind.RESUMED, {"step": 4})
        await until(pilot, lambda: app.monitor.record.step == 4)
        train(container, job, 5, 6)
        await until(pilot, lambda: app.monitor.record.step == 6)
        assert [point.step for point in app.monitor.record.losses] == [1, 2, 3, 4, 5, 6]


async def test_quitting_leaves_the_run_alone() -> None:
    container = frozen_container()
    job = start_running(container, "live")
    async with HeardApp(container, "en").run_test() as pilot:
        app = await opened(pilot, job)
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running)
    assert container.launcher().stopped == []
    assert container.jobs().jobs[job.id].status is JobStatus.RUNNING


@pytest.mark.parametrize(
    ("key", "stopped"),
    [("s", [(1, False)]), ("k", [(1, True)]), ("enter", [(1, False)]), ("escape", [])],
)
async def test_a_stop_asks_first(key: str, stopped: list[tuple[int, bool]]) -> None:
    container = frozen_container()
    job = start_running(container, "live")
    train(container, job, 1, 12)
    container.jobs().append(job, EventKind.CHECKPOINT, {"step": 10, "path": "there"})
    async with HeardApp(container, "en").run_test() as pilot:
        app = await opened(pilot, job)
        await pilot.press("x")
        assert isinstance(app.screen, StopScreen)
        assert container.launcher().stopped == []
        shown = " ".join(str(part.content) for part in app.screen.query(Static))
        assert "saves a checkpoint" in shown
        assert "since the checkpoint at step 10 are lost: 2." in shown
        await pilot.press(key)
        await until(pilot, lambda: app.screen is app.monitor)
        await until(pilot, lambda: bool(app.said) == bool(stopped))
    assert container.launcher().stopped == stopped


async def test_without_a_checkpoint_all_steps_would_be_lost_and_a_button_can_be_clicked() -> None:
    container = frozen_container()
    job = start_running(container, "live")
    train(container, job, 1, 12)
    async with HeardApp(container, "en").run_test() as pilot:
        app = await opened(pilot, job)
        await pilot.press("x")
        assert "all steps are lost: 12." in text_of(app, ".danger")
        assert [button.id for button in app.screen.query(Button)] == ["save", "kill", "keep"]
        await pilot.click("#keep")
        assert app.screen is app.monitor
    assert container.launcher().stopped == []


async def test_keys_that_make_no_sense_say_why() -> None:
    container = frozen_container()
    job = start(container, "done")
    async with HeardApp(container, "ru").run_test() as pilot:
        app = await opened(pilot, job)
        await pilot.press("x")
        assert app.screen is app.monitor
        assert app.said[-1][0] == f"Останавливать нечего: состояние запуска `{job.id}` — завершён."
        await pilot.press("r")
        await until(pilot, lambda: len(app.said) == 2)
        assert "продолжить можно только" in app.said[-1][0]
    assert container.launcher().started == [(job.id, False)]


async def test_without_runs_it_says_how_to_start_one() -> None:
    async with HeardApp(frozen_container(), "en").run_test() as pilot:
        app = pilot.app
        assert isinstance(app, HeardApp)
        await until(pilot, lambda: "`tune train run.yaml`" in text_of(app, "#heading"))
        await pilot.press("x", "r", "l", "y")
        assert [message for _, message in app.said] == ["No run is selected."] * 4


async def test_a_failed_run_tells_why_and_resumes() -> None:
    container = frozen_container()
    job = start_running(container, "broken")
    container.launcher().dead.add(1)
    async with HeardApp(container, "zh").run_test(size=WIDE) as pilot:
        app = pilot.app
        assert isinstance(app, HeardApp)
        await until(pilot, lambda: "工作进程已经消失" in text_of(app, "#alerts"))
        container.launcher().dead.clear()
        await pilot.press("r")
        await until(pilot, lambda: bool(app.said))
        assert container.launcher().started == [(job.id, False), (job.id, True)]
        await until(pilot, lambda: "已完成" in text_of(app, "#head"))
        assert text_of(app, "#alerts") == ""


async def test_alerts_are_shown() -> None:
    container = frozen_container()
    job = start_running(container, "bad")
    train(container, job, 1, 3)
    broken = {**step_data(4, 400), "loss": float("nan")}
    container.jobs().append(job, EventKind.STEP, broken)
    async with HeardApp(container, "en").run_test(size=WIDE) as pilot:
        app = await opened(pilot, job)
        assert "the loss became nan at step 4" in text_of(app, "#alerts")


async def test_the_filter_narrows_the_list_and_escape_clears_it() -> None:
    container = frozen_container()
    for name in ("alpha", "beta", "gamma"):
        start(container, name)
    newest = start_running(container, "delta")

    def shown(app: HeardApp) -> list[str]:
        return [str(option.id).split("-")[2] for option in app.monitor.runs.options.options]

    async with HeardApp(container, "en").run_test() as pilot:
        app = await opened(pilot, newest)
        await pilot.press("slash", *"ta")
        assert shown(app) == ["delta", "beta"]
        await pilot.press("space", *"!running")
        assert shown(app) == ["beta"]
        await pilot.press("q")
        assert app.monitor.runs.filter.value == "ta !runningq"
        await pilot.press("escape")
        assert shown(app) == ["delta", "gamma", "beta", "alpha"]
        await pilot.press("slash", *"nothing", "enter")
        assert "esc clears it" in text_of(app, "#heading")


async def test_the_log_takes_the_place_of_events_and_back() -> None:
    container = frozen_container()
    job = start(container, "logged")
    container.jobs().write_text(job, "worker.log", "loading\n10%\r100%\n[ready]\n")
    async with HeardApp(container, "en").run_test(size=WIDE) as pilot:
        app = await opened(pilot, job)
        await pilot.press("l")
        await until(pilot, lambda: text_of(app, "#lines") == "loading\n100%\n[ready]")
        await pilot.press("l")
        assert "run created, 3 steps planned" in text_of(app, "#lines")


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_the_journal_stays_at_its_end_until_scrolled_away(size: tuple[int, int]) -> None:
    container = frozen_container()
    job = start_running(container, "long")
    train(container, job, 1, 60)
    async with HeardApp(container, "en").run_test(size=size) as pilot:
        app = await opened(pilot, job)
        await pilot.press("enter")
        journal = app.monitor.view.journal
        await until(pilot, lambda: journal.max_scroll_y > 0 and journal.is_vertical_scroll_end)
        train(container, job, 61, 70)
        await until(pilot, lambda: app.monitor.record.step == 70 and journal.is_vertical_scroll_end)
        await pilot.press("up", "up")
        place = journal.scroll_offset.y
        train(container, job, 71, 75)
        await until(pilot, lambda: "step 75/400" in text_of(app, "#lines"))
        await pilot.pause(0.3)
        assert journal.scroll_offset.y == place


async def test_y_changes_the_scale_and_the_legend_says_so() -> None:
    container = frozen_container()
    job = start(container, "scaled")
    async with HeardApp(container, "en").run_test(size=WIDE) as pilot:
        app = await opened(pilot, job)
        assert "linear scale" in str(app.monitor.view.chart.border_title)
        await pilot.press("y")
        assert "log scale" in str(app.monitor.view.chart.border_title)


async def test_the_language_changes_everywhere() -> None:
    container = frozen_container()
    job = start(container, "spoken")
    async with HeardApp(container, "en").run_test(size=WIDE) as pilot:
        app = await opened(pilot, job)
        for status, stop in (("завершён", "стоп"), ("已完成", "停止"), ("succeeded", "stop")):
            await pilot.press("L")
            assert status in text_of(app, "#head")
            assert stop in text_of(app, "#keys")
            prompt = app.monitor.runs.options.get_option_at_index(0).prompt
            assert status in str(prompt)


@pytest.mark.parametrize("language", LANGUAGES)
async def test_help_lists_every_key(language: str) -> None:
    async with HeardApp(frozen_container(), language).run_test(size=NARROW) as pilot:
        await pilot.press("question_mark")
        app = pilot.app
        assert isinstance(app, HeardApp)
        lines = text_of(app, "HelpScreen Static").splitlines()
        for key in KEYS:
            meaning = app.texts(f"tui.keys.{key.name}.help")
            assert any(line.split() == [key.shown, *meaning.split()] for line in lines), key.name
        await pilot.press("q")
        assert app.screen is app.monitor


def test_every_bound_key_has_an_action() -> None:
    screens = {Scope.DATA: DataScreen, Scope.STOP: StopScreen, Scope.HELP: HelpScreen}
    for scope in Scope:
        screen = screens.get(scope, type(HeardApp(frozen_container(), "en").monitor))
        for binding in bindings(scope):
            assert hasattr(screen, f"action_{binding.action}"), binding


@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_footer_and_the_figures_fit_80_columns(language: str) -> None:
    container = frozen_container()
    job = start(container, "narrow")
    async with HeardApp(container, language, job.id).run_test(size=NARROW) as pilot:
        app = await opened(pilot, job)
        footer = app.screen.query_one("#keys", Static)
        assert cell_len(str(footer.content)) <= 78
        for name in ("loss", "evaluation", "learning_rate", "grad_norm", "tokens_per_s", "eta"):
            assert app.texts(f"tui.run.{name}") in text_of(app, "#figures")


async def test_a_click_on_a_key_does_what_the_key_does() -> None:
    async with HeardApp(frozen_container(), "en").run_test(size=NARROW) as pilot:
        at = text_of(pilot.app, "#keys").index("help")  # type: ignore[arg-type]
        await pilot.click("#keys", offset=(at + 2, 0))
        assert isinstance(pilot.app.screen, HelpScreen)
