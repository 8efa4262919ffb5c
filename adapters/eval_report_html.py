"""An evaluation's report: one self-contained HTML page, its plots inlined as SVG.

The page needs no network and no script.
"""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adapters.report_html import ACCENT, GRID, INK, TEMPLATES
from domain.confidence import Estimate
from domain.eval_results import EvaluationResult
from domain.measurement import Metric

COLOURS = (INK, ACCENT)
"""Of the first model, which is the base where there are two, and of the second."""
ROW_INCHES = 0.24
"""Height of a subject in its plot."""


class HtmlEvaluationReportWriter:
    """Implements ports.eval_reports.EvaluationReportWriter with matplotlib and Jinja."""

    def write(self, path: str, heading: str, results: Sequence[EvaluationResult]) -> None:
        """Write the page; every value is escaped."""
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        environment = Environment(
            loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined
        )
        environment.filters["json"] = lambda value: json.dumps(value, ensure_ascii=False)
        page = environment.get_template("evaluation.html.jinja").render(
            heading=heading,
            parts=[
                {"result": each, "plots": [_svg(plot) for plot in plots(each)]} for each in results
            ],
            shown=shown,
        )
        Path(path).write_text(page, encoding="utf-8")


def shown(estimate: Estimate, metric: Metric, *, signed: bool = False) -> str:
    """An estimate with its interval: shares as percentages."""
    scale = 100 if metric.percent else 1
    digits = "+" if signed else ""
    digits += ".1f" if metric.percent else ".3f"
    value, low, high = (
        format(each * scale, digits) for each in (estimate.value, estimate.low, estimate.high)
    )
    return f"{value} [{low}, {high}]"


def plots(result: EvaluationResult) -> list[Any]:
    """Figures by subject, where there are several, and by length."""
    models = list(result.models.values())
    found = []
    if len(models[0].subjects) > 1:
        found.append(_subjects(result))
    if len(models[0].lengths) > 1:
        found.append(_lengths(result))
    return found


def _subjects(result: EvaluationResult) -> Any:
    from matplotlib.figure import Figure

    names = sorted(next(iter(result.models.values())).subjects, reverse=True)
    figure = Figure(figsize=(8, 1.2 + ROW_INCHES * len(names)), layout="constrained")
    axes = figure.subplots()
    for number, (model, found) in enumerate(result.models.items()):
        here = [(n, found.subjects[name]) for n, name in enumerate(names) if name in found.subjects]
        _bars(axes, [n + 0.2 * number for n, _ in here], [each for _, each in here], model, number)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set_xlabel(f"{result.metric.value} and its 95% interval")
    return _dressed(figure, axes)


def _lengths(result: EvaluationResult) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3), layout="constrained")
    axes = figure.subplots()
    for number, (model, found) in enumerate(result.models.items()):
        heights = [n + 0.15 * number for n in range(len(found.lengths))]
        _bars(axes, heights, [each.estimate for each in found.lengths], model, number)
    bins = next(iter(result.models.values())).lengths
    labels = [f"{each.shortest} to {each.longest}" for each in bins]
    axes.set_yticks(range(len(bins)), labels)
    axes.set_ylabel(f"length in {result.length_unit}")
    axes.set_xlabel(f"{result.metric.value} and its 95% interval")
    return _dressed(figure, axes)


def _bars(
    axes: Any, heights: Sequence[float], found: Sequence[Estimate], model: str, number: int
) -> None:
    """A dot with a line from end to end for each estimate."""
    colour = COLOURS[number % len(COLOURS)]
    axes.hlines(heights, [e.low for e in found], [e.high for e in found], color=colour, alpha=0.5)
    axes.plot([e.value for e in found], heights, "o", color=colour, markersize=4, label=model)


def _dressed(figure: Any, axes: Any) -> Any:
    axes.grid(color=GRID, linewidth=0.8, axis="x")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return figure


def _svg(figure: Any) -> str:
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None})
    text = drawn.getvalue()
    return text[text.index("<svg") :]
