"""The report of an evaluation: one page, every value escaped, plots inside."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from adapters.eval_report_html import HtmlEvaluationReportWriter
from domain.eval_results import Measured, Resampling, result_of
from domain.measurement import Measurement, Metric

HOSTILE = "<script>alert('x')</script>&\""
BY = Resampling(samples=100, seed=0)


def measured(metric: Metric = Metric.ACCURACY) -> Measured:
    found = tuple(
        Measurement(
            evaluation="exam",
            item=f"{subject}{n}",
            model=model,
            subject=subject,
            category=f"of {subject}",
            value=float((n + len(model)) % 3 == 0),
            length=n,
            detail={"question": HOSTILE, "place": "a.csv:1", "answer": "A", "chosen": model},
        )
        for model in ("base", "tuned")
        for subject in ("law", "maths")
        for n in range(6)
    )
    return Measured(
        title=f"exam {HOSTILE}", metric=metric, excluded=(f"a.csv:2 {HOSTILE}",), measurements=found
    )


class Tags(HTMLParser):
    """Collects the tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.append(tag)


def page_of(path: Path, *evaluations: Measured) -> str:
    results = [result_of(each, ["base", "tuned"], BY) for each in evaluations]
    HtmlEvaluationReportWriter().write(str(path), HOSTILE, results)
    return path.read_text(encoding="utf-8")


def test_the_page_needs_nothing_and_runs_nothing(tmp_path: Path) -> None:
    page = page_of(tmp_path / "report.html", measured())
    assert not re.search(r"""(src|href)=["']http|<script|@import|url\(http""", page)
    tags = Tags()
    tags.feed(page)
    assert tags.seen.count("svg") == 2


def test_it_shows_figures_flips_and_what_was_left_out(tmp_path: Path) -> None:
    page = page_of(tmp_path / "report.html", measured())
    assert "33.3 [" in page
    assert "McNemar, exact" in page
    assert "items better" in page
    assert "1 rows left out" in page
    assert "of maths" in page
    assert "Items that flipped" in page


def test_perplexity_of_one_subject_has_no_plot_by_subject(tmp_path: Path) -> None:
    whole = measured(Metric.PERPLEXITY)
    law = tuple(each for each in whole.measurements if each.subject == "law")
    page = page_of(tmp_path / "report.html", replace(whole, measurements=law))
    assert page.count("<svg") == 1
    assert "lower is better" in page
    assert "nats per token" in page


def test_scores_of_one_evaluation_have_their_notes_and_what_flipped(tmp_path: Path) -> None:
    found = tuple(
        replace(
            each,
            detail={
                **each.detail,
                "scores": {"bleu-4": 0.25, "exact-match": each.value},
                "bleu": [4, 3, 2, 1, 4, 3, 2, 1, 4, 4],
            },
        )
        for each in measured().measurements
    )
    several = replace(
        measured(),
        title="qa",
        notes=(f"asked: {HOSTILE}",),
        scores={"bleu-4": Metric.SHARE, "exact-match": Metric.ACCURACY},
        measurements=found,
    )
    page = page_of(tmp_path / "report.html", *several.each_score())
    assert "<h2>qa bleu-4</h2>" in page
    assert "<h2>qa exact-match</h2>" in page
    assert page.count("asked: &lt;script&gt;") == 2
    assert page.count("all answers together (corpus BLEU)") == 1
    assert ">100.0</td>" in page
    assert "25.0 [25.0, 25.0]" in page
    assert page.count("Items that flipped") == 1
