"""Following a run on the terminal: a progress bar on a screen, plain lines in a log, JSON lines."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import typer

from domain.errors import ExitCode, HextuneError
from domain.events import EventKind, JobEvent, shown_figures
from domain.job import Job, JobKind, JobStatus
from domain.pipeline import ROWS_FILE
from entrypoints.container import Container

EXITS = {
    JobStatus.SUCCEEDED: ExitCode.OK,
    JobStatus.FAILED: ExitCode.RUN_FAILED,
    JobStatus.STOPPED: ExitCode.INTERRUPTED,
}


def follow(
    container: Container,
    job: Job,
    *,
    as_json: bool,
    stop_on_interrupt: bool,
    after_seq: int = 0,
) -> None:
    """Show events until the run ends, then exit with its status.

    The first Ctrl-C asks the run to save and end, the second ends it at once.
    """
    view = _view(as_json)
    interrupts = 0
    try:
        while True:
            try:
                for event in container.watch_run()(job.id, after_seq):
                    after_seq = event.seq
                    view.show(event)
                break
            except KeyboardInterrupt:
                if not stop_on_interrupt:
                    raise
                interrupts += 1
                view.note("ending now" if interrupts > 1 else "saving a checkpoint, then ending")
                with suppress(HextuneError):  # the run may have ended by itself meanwhile
                    container.stop_run()(job.id, now=interrupts > 1)
    finally:
        view.close()
    ended = container.find_run()(job.id)
    if not as_json:
        _say_end(ended, json.loads(container.jobs().read_text(ended, "results.json") or "{}"))
    raise typer.Exit(int(EXITS[ended.status]))


class JsonView:
    """Events as JSON lines on stdout."""

    def show(self, event: JobEvent) -> None:
        """Print one event."""
        sys.stdout.write(json.dumps(event.as_json(), ensure_ascii=False) + "\n")
        sys.stdout.flush()

    def note(self, text: str) -> None:
        """Talk goes to stderr."""
        print(text, file=sys.stderr)

    def close(self) -> None:
        """Nothing is open."""


class LineView:
    """One plain line for each event that matters, for logs and pipes."""

    def show(self, event: JobEvent) -> None:
        """Print one event's line."""
        for line in event_lines(event):
            print(line, file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        """Print a remark."""
        print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Nothing is open."""


class BarView:
    """A progress bar with the loss, the learning rate, tokens/s and the time left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task("starting", total=None, figures="")
        self._bar.start()

    def show(self, event: JobEvent) -> None:
        """Move the bar, or print the event's line above it."""
        data: Mapping[str, Any] = event.data
        if event.kind is EventKind.STEP:
            self._bar.update(
                self._task,
                description="training",
                total=data["total_steps"],
                completed=data["step"],
                figures=figures(data),
            )
        elif event.kind is EventKind.PROGRESS:
            self._bar.update(
                self._task,
                description=str(data["title"]),
                total=data["total_steps"],
                completed=data["step"],
                figures=pace(data),
            )
        elif event.kind is EventKind.PHASE:
            self._bar.update(self._task, description=str(data["phase"]))
        else:
            for line in event_lines(event):
                self._bar.console.print(line, highlight=False, markup=False)

    def note(self, text: str) -> None:
        """Print a remark above the bar."""
        self._bar.console.print(text)

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.stop()


def figures(data: Mapping[str, Any]) -> str:
    """A step's figures in one line."""
    return (
        f"loss {data['loss']:.4f}{shown_figures(data)}  lr {data['learning_rate']:.2e}  "
        f"{data['tokens_per_s']:.0f} tok/s  {shown_time(data['eta_s'])} left"
    )


def pace(data: Mapping[str, Any]) -> str:
    """The pace of an evaluation in one line."""
    return f"{data['per_s']:.2f}/s  {shown_time(data['eta_s'])} left"


def shown_time(seconds: float) -> str:
    """A duration such as 1:02:03 or 4:05."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def event_lines(event: JobEvent) -> Iterator[str]:
    """What an event says in plain text; some say nothing."""
    data: Mapping[str, Any] = event.data
    match event.kind:
        case EventKind.PHASE:
            yield str(data["phase"])
        case EventKind.STEP:
            yield f"step {data['step']}/{data['total_steps']}  {figures(data)}"
        case EventKind.PROGRESS:
            yield f"{data['title']}: {data['step']}/{data['total_steps']}  {pace(data)}"
        case EventKind.EVALUATION:
            loss, own = data["loss"], shown_figures(data)
            measured = own or f", perplexity {data['perplexity']:.2f}"
            best = ", the best so far" if data.get("best") else ""
            yield f"held out: loss {loss:.4f}{measured} at step {data['step']}{best}"
            for name, each in data.get("sources", {}).items():
                yield f"  {name}: loss {each['loss']:.4f}{shown_figures(each)}"
        case EventKind.SAMPLE:
            yield f"sample at step {data['step']}: {data['prompt']}"
            yield f"  {' '.join(data['text'].split())}"
        case EventKind.CHECKPOINT:
            yield f"checkpoint at step {data['step']}"
        case EventKind.PART:
            step = f"{data['name']} ({data['number']}/{data['count']})"
            yield f"step {step}: {data['status']}, run {data['run']}"
        case EventKind.RESUMED:
            yield f"continuing after step {data['step']}"
        case EventKind.WARNING:
            yield f"warning: {data['message']}"


def _view(as_json: bool) -> JsonView | LineView | BarView:
    if as_json:
        return JsonView()
    return BarView() if sys.stderr.isatty() else LineView()


def next_steps(job: Job, results: Mapping[str, Any]) -> Iterator[str]:
    """What one does with a finished run."""
    report = f"  report  {job.folder}/report.html"
    match job.kind:
        case JobKind.EVALUATE:
            yield from (report, f"  results tune eval show {job.id}")
        case JobKind.GENERATE:
            yield f"  rows    {job.folder}/{ROWS_FILE}"
        case JobKind.PIPELINE:
            yield from (f"  {step}: run {run}" for step, run in results["steps"].items())
            if results["model"] is not None:
                yield f"  chat    tune chat {job.id}"
        case JobKind.TRAIN:
            yield report
            yield from TRAINED[results.get("yields", "chat_model")](job.id)
            if results.get("adapter") and results.get("yields") != "reward_model":
                yield f"  merge   tune merge {job.id} --output merged"


TRAINED: Mapping[str, Callable[[str], Sequence[str]]] = {
    "chat_model": lambda name: (f"  chat    tune chat {name}",),
    "base_model": lambda name: (
        f"  go on   tune train SPEC model.adapters=[{name}], or a pipeline",
    ),
    "reward_model": lambda name: (
        f"  judge   stage.rewards: [{{name: model, model: {name}}}] in a spec of stage ppo",
    ),
}
"""What one does first with what a stage yields."""


def _say_end(job: Job, results: Mapping[str, Any]) -> None:
    """How the run ended, and where to look next."""
    if job.status is JobStatus.SUCCEEDED:
        lines = [f"done: {job.folder}", *next_steps(job, results)]
    elif job.status is JobStatus.STOPPED:
        lines = [f"stopped and saved; continue with: tune resume {job.id}"]
    else:
        found = job.problem or {}
        lines = [f"error: {found.get('message')} [{found.get('code')}]"]
        lines += ["", f"hint: {found.get('hint')}"]
    print("\n".join(lines), file=sys.stderr)
