"""Every door shows an evaluation as it shows a training run."""

from domain.events import EventKind
from domain.job import Job
from entrypoints.cli.follow import event_lines
from entrypoints.container import Container
from entrypoints.grpc_api.generated.hextune.v1 import jobs_pb2
from entrypoints.grpc_api.messages import event_message, job_message
from entrypoints.tui.screens.data import DataScreen
from ports.spec_reader import SpecText
from tests.doors.tui_stage import WIDE, HeardApp, frozen_container, opened, start, text_of

EVAL = "model: {name: fake}\nname: exam\nexams: [{name: fake, path: there, shots: 1}]\n"


def evaluate(container: Container) -> Job:
    container.surroundings().time += 600
    text = SpecText(text=EVAL, format="yaml", source="eval.yaml")
    job: Job = container.start_evaluation()(text)
    return job


async def test_the_monitor_shows_how_far_it_is_and_has_no_rows_for_it() -> None:
    container = frozen_container()
    start(container, "trained")
    job = evaluate(container)
    async with HeardApp(container, "en").run_test(size=WIDE) as pilot:
        app = await opened(pilot, job)
        assert "succeeded" in text_of(app, "#head")
        assert "12/12  100%" in text_of(app, "#bar")
        assert "fake 1-shot: 12/12" in text_of(app, "#lines")
        await pilot.press("d")
        await pilot.pause()
        assert not isinstance(app.screen, DataScreen)
        assert app.said[-1][0] == f"The run `{job.id}` is an evaluation and has no model."


def test_a_log_has_a_line_for_progress() -> None:
    container = frozen_container()
    job = evaluate(container)
    lines = [line for each in container.jobs().events(job) for line in event_lines(each)]
    assert any(line.startswith("fake 1-shot: 12/12") for line in lines)


def test_grpc_names_its_kind_and_its_progress() -> None:
    container = frozen_container()
    trained, job = start(container, "trained"), evaluate(container)
    assert job_message(trained).kind == jobs_pb2.JOB_KIND_TRAIN
    assert job_message(job).kind == jobs_pb2.JOB_KIND_EVALUATE
    (progress,) = [e for e in container.jobs().events(job) if e.kind is EventKind.PROGRESS]
    message = event_message(progress)
    assert message.kind == jobs_pb2.EVENT_KIND_PROGRESS
    assert message.data["step"] == message.data["total_steps"] == 12
