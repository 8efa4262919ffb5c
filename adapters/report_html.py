"""A run's report: the loss curve as PNG, and one self-contained HTML page around it.

The page needs no network and no script: the curve is inlined as SVG.
"""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from domain.budget import shown_bytes
from domain.events import EventKind, JobEvent
from domain.job import Job

TEMPLATES = Path(__file__).parent / "data" / "report"
INK, ACCENT, GRID = "#1f2933", "#0b7285", "#d9e2ec"


class HtmlReportWriter:
    """Implements ports.reports.ReportWriter with matplotlib and Jinja."""

    def write(
        self, job: Job, events: Sequence[JobEvent], documents: dict[str, dict[str, object]]
    ) -> None:
        """Write loss.png and report.html into the run folder."""
        figure = loss_figure(events)
        folder = Path(job.folder)
        figure.savefig(folder / "loss.png", dpi=150)
        curve = io.StringIO()
        figure.savefig(curve, format="svg", metadata={"Date": None})
        page = render_page(job, events, documents, curve.getvalue())
        (folder / "report.html").write_text(page, encoding="utf-8")

    def histogram(self, path: str, lengths: Sequence[int], limit: int) -> None:
        """Row lengths as bars, the limit as a line."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8, 3.5), layout="constrained")
        axes = figure.subplots()
        axes.hist(lengths, bins=40, color=ACCENT)
        axes.axvline(limit, color=INK, linestyle="--", label=f"limit {limit}")
        axes.set_xlabel("tokens in a row")
        axes.set_ylabel("rows")
        axes.legend(frameon=False)
        figure.savefig(path, dpi=150, format="png")


def loss_figure(events: Sequence[JobEvent]) -> Any:
    """Loss and held-out loss over steps, with the learning rate under them."""
    from matplotlib.figure import Figure

    steps: list[Any] = [event.data for event in events if event.kind is EventKind.STEP]
    held_out: list[Any] = [event.data for event in events if event.kind is EventKind.EVALUATION]
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    loss, rate = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    x = [data["step"] for data in steps]
    loss.plot(x, [data["loss"] for data in steps], color=ACCENT, linewidth=1.5, label="training")
    if held_out:
        loss.plot(
            [data["step"] for data in held_out],
            [data["loss"] for data in held_out],
            color=INK,
            marker="o",
            linestyle="--",
            linewidth=1,
            label="held out",
        )
    loss.set_ylabel("loss (nats per token)")
    loss.legend(frameon=False)
    rate.plot(x, [data["learning_rate"] for data in steps], color=ACCENT, linewidth=1.5)
    rate.set_ylabel("learning rate")
    rate.set_xlabel("step")
    for axes in (loss, rate):
        axes.grid(color=GRID, linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def samples_of(events: Sequence[JobEvent]) -> dict[str, list[tuple[int, str]]]:
    """Prompt to (step, answer) by step; a step that was trained again counts once."""
    found: dict[str, dict[int, str]] = {}
    for event in events:
        if event.kind is EventKind.SAMPLE:
            data: Any = event.data
            found.setdefault(data["prompt"], {})[data["step"]] = data["text"]
    return {prompt: sorted(answers.items()) for prompt, answers in found.items()}


def render_page(
    job: Job, events: Sequence[JobEvent], documents: dict[str, dict[str, object]], curve: str
) -> str:
    """The HTML page; every value is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["bytes"] = shown_bytes
    environment.filters["json"] = lambda value: json.dumps(value, ensure_ascii=False)
    evaluations = [event.data for event in events if event.kind is EventKind.EVALUATION]
    return environment.get_template("report.html.jinja").render(
        job=job,
        curve=curve[curve.index("<svg") :],
        evaluations=evaluations,
        samples=samples_of(events),
        alerts=[event.data for event in events if event.kind is EventKind.WARNING],
        **documents,
    )
