"""Data on the terminal: the report, rows with their trained tokens marked, histograms."""

import os
import sys
from collections.abc import Sequence

from domain.data_report import DataReport, histogram
from domain.media import MediaAccount
from domain.token_spans import token_spans
from entrypoints.services.inspect_data import ShownRow

SHOWN_LINES = 10
BAR = 40
TRAINED, PLAIN = "\x1b[30;42m", "\x1b[0m"
OPEN, CLOSE = "⟦", "⟧"
"""What marks trained text where there are no colours."""


def show_report(report: DataReport) -> None:
    """The counts, then the first lines of everything that is not as it should be."""
    formats = ", ".join(f"{name} as {format}" for name, format in report.formats.items())
    kinds = ", ".join(f"{count} {kind}" for kind, count in report.kinds.items())
    print(f"read        {report.rows_read} rows ({formats})")
    print(f"usable      {kinds or 'none'}")
    shown = "  ".join(f"{name} {value}" for name, value in report.percentiles.items())
    print(f"tokens      {shown}  (limit {report.limit})")
    print(f"trained     {sum(report.trained):,} of {sum(report.lengths):,} tokens, "
          f"{report.trained_share:.1%}")  # fmt: skip
    verdict = f"{report.equal} of {report.compared} rows as the tokenizer renders them itself"
    own = "the processor's own ids" if report.media else "no template of its own to compare with"
    print(f"template    {verdict if report.compared else own}")
    for kind, media in report.media.items():
        print(f"{kind + 's':<11} {_media_line(media)}")
    for title, lines in (
        ("unusable", report.dropped),
        ("too long", report.too_long),
        ("refused by the template", report.refused),
        ("without a trained token", report.untrained),
        ("duplicates", report.duplicates),
    ):
        if lines:
            print(f"\n{title}: {len(lines)}")
            for line in lines[:SHOWN_LINES]:
                print(f"  {line}")
            if len(lines) > SHOWN_LINES:
                print(f"  and {len(lines) - SHOWN_LINES} more; --json lists all")


def _media_line(media: MediaAccount) -> str:
    """How many files, their smallest, median and largest size, and the tokens one takes."""
    facts = [f"{media.files} files"]
    if media.sizes:
        facts.append(" / ".join(media.sizes))
    if media.seconds:
        facts.append(" / ".join(f"{length:g}" for length in media.seconds) + " s")
    if media.tokens:
        shown = "  ".join(f"{name} {count}" for name, count in media.tokens.items())
        facts.append(f"tokens each {shown}")
    return "; ".join(facts)


def show_row(row: ShownRow, *, ids: bool) -> None:
    """A row's text; trained tokens are green, or in brackets where there are no colours."""
    trained = sum(mark for _, _, mark in row.pieces)
    answer = f"  {row.answer}" if row.answer else ""
    print(f"{row.file}:{row.line}{answer}  {len(row.pieces)} tokens, {trained} trained")
    colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    opening, closing = (TRAINED, PLAIN) if colours else (OPEN, CLOSE)
    spans = token_spans(row.pieces, ids=ids)
    print("".join(f"{opening}{text}{closing}" if mark else text for text, mark in spans))


def show_histogram(title: str, values: Sequence[int]) -> None:
    """Counts as bars."""
    print(title)
    bins = histogram(values, 20)
    most = max((count for _, _, count in bins), default=0)
    for low, high, count in bins:
        print(f"  {low:6}-{high:<6} {'█' * round(BAR * count / most):<{BAR}} {count}")
