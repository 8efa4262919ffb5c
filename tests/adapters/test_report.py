"""The report: one page that needs nothing else, with every value escaped, and the loss curve."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from jinja2 import UndefinedError

from adapters.report_html import HtmlReportWriter, loss_figure, render_page
from domain.errors import problem
from domain.events import EventKind, JobEvent
from domain.job import Job
from domain.run_plan import Origin
from tests.domain.builders import plan, prepared, spec
from tests.fakes.training import step_data

HOSTILE = "<script>alert('x')</script>&\""


def events(steps: int = 3, held_out: bool = True) -> list[JobEvent]:
    """A run's step events and, with `held_out`, one evaluation."""
    made = [(EventKind.STEP, step_data(step, steps)) for step in range(1, steps + 1)]
    measured = [(EventKind.EVALUATION, {"step": steps, "loss": 0.5, "perplexity": 1.6487})]
    return [
        JobEvent(seq=number, at=0.0, kind=kind, data=data)
        for number, (kind, data) in enumerate(made + (measured if held_out else []), 1)
    ]


def documents(**results: Any) -> dict[str, dict[str, Any]]:
    """Spec, plan, manifest and results, as they are read back from the run folder."""
    made = plan(spec(), {"seed": Origin.OVERRIDE}, prepared(dropped=["rows.jsonl:3 output: empty"]))
    found = {
        "first_loss": 2.0,
        "last_loss": 0.6667,
        "first_eval_loss": None,
        "last_eval_loss": None,
        "steps": 3,
        "tokens": 1200,
        "train_seconds": 4.0,
        "trainable": 1000,
        "peak_memory_bytes": 3 * 1024**3,
        "planned_memory_bytes": 2 * 1024**3,
        "adapter": True,
        "result_step": 3,
        "sources": {},
        **results,
    }
    whole = {
        "spec": spec().as_json(),
        "plan": made.as_json(),
        "manifest": {"versions": {"torch": "2.13.0"}},
        "results": found,
    }
    read: dict[str, dict[str, Any]] = json.loads(json.dumps(whole))
    return read


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(
        id="20261124-061500-run-a1b2c3",
        name="my run",
        folder=str(tmp_path),
        working_folder="/work",
        spec_hash="abcdef0123456789",
        created_at=0.0,
    )


class Tags(HTMLParser):
    """The tags and outside references of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]


def test_a_report_is_a_picture_and_a_page_that_needs_nothing_else(job: Job, tmp_path: Path) -> None:
    HtmlReportWriter().write(job, events(), documents())
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    found = Tags(page)
    assert "svg" in found.tags
    assert "script" not in found.tags
    assert not [link for link in found.links if not link.startswith("#")]
    assert not re.search(r"url\((?!#)", page)


def test_a_page_tells_the_figures_of_the_run(job: Job) -> None:
    page = render_page(job, events(), documents(), "<svg></svg>")
    for words in (
        "2.0000 → 0.6667",
        "300</b>tokens per second",
        "3.00 GiB</b>peak memory; planned 2.00 GiB",
        "1.649",
        "rows.jsonl:3 output: empty",
        "set by an override",
        "2.13.0",
    ):
        assert words in page, words
    assert "held-out loss" not in page


def test_held_out_figures_are_told_where_there_are_some(job: Job) -> None:
    results = documents(first_eval_loss=1.5, last_eval_loss=0.5)
    page = render_page(job, events(), results, "<svg></svg>")
    assert "1.5000 → 0.5000</b>held-out loss" in page
    assert "Held-out rows" not in render_page(job, events(held_out=False), results, "<svg></svg>")


def test_samples_warnings_and_sources_are_told(job: Job) -> None:
    more: list[tuple[EventKind, Any]] = [
        (EventKind.SAMPLE, {"step": 2, "prompt": "How much?", "text": "One."}),
        (EventKind.SAMPLE, {"step": 1, "prompt": "How much?", "text": HOSTILE}),
        (EventKind.SAMPLE, {"step": 2, "prompt": "How much?", "text": "Two."}),
        (EventKind.WARNING, problem("run-loss-spike", step=3, value="9").as_json()),
    ]
    told = [JobEvent(seq=9, at=0.0, kind=kind, data=data) for kind, data in more]
    sources = {"a.jsonl": {"loss": 0.25}}
    page = render_page(job, [*events(), *told], documents(sources=sources), "<svg></svg>")
    assert page.index("&lt;script&gt;") < page.index("Two.")
    assert "One." not in page
    assert "jumped to 9 at step 3" in page
    assert "a.jsonl</code></td><td>0.2500" in page
    plain = render_page(job, events(), documents(), "<svg></svg>")
    assert not [title for title in ("Samples", "Warnings", "Source") if title in plain]


def test_the_evaluation_the_result_is_of_is_marked(job: Job) -> None:
    found = documents(result_step=3)
    assert "(the result)" not in render_page(job, events(), found, "<svg></svg>")
    found["spec"]["output"]["keep_best"] = True
    assert "<td>3 <b>(the result)</b></td>" in render_page(job, events(), found, "<svg></svg>")


def test_every_value_is_escaped(job: Job) -> None:
    hostile = documents()
    hostile["plan"]["decisions"][0].update(value=[HOSTILE], reason=HOSTILE, key=HOSTILE)
    hostile["plan"]["decisions"][1]["value"] = HOSTILE
    hostile["plan"]["data"]["dropped"] = [HOSTILE]
    hostile["plan"]["model"]["name"] = HOSTILE
    hostile["manifest"]["versions"] = {HOSTILE: HOSTILE}
    page = render_page(replace(job, name=HOSTILE), events(), hostile, "<svg></svg>")
    assert "<script>" not in page
    assert page.count("&lt;script&gt;") == 9


def test_a_document_that_lacks_a_figure_is_a_mistake(job: Job) -> None:
    lacking = documents()
    del lacking["results"]["first_loss"]
    with pytest.raises((UndefinedError, TypeError)):
        render_page(job, events(), lacking, "<svg></svg>")


@pytest.mark.parametrize(
    ("held_out", "labels"), [(True, ["training", "held out"]), (False, ["training"])]
)
def test_the_curve_shows_every_reading(held_out: bool, labels: list[str]) -> None:
    loss, rate = loss_figure(events(5, held_out)).axes
    assert [line.get_label() for line in loss.lines] == labels
    assert list(loss.lines[0].get_xdata()) == [1, 2, 3, 4, 5]
    assert list(loss.lines[0].get_ydata()) == [2.0 / step for step in range(1, 6)]
    assert list(rate.lines[0].get_ydata()) == [1e-4] * 5


def test_a_run_without_readings_still_has_a_curve() -> None:
    loss, _ = loss_figure([]).axes
    assert list(loss.lines[0].get_xdata()) == []
