"""The list of runs as plain text, for pipes and small terminals."""

from typing import TYPE_CHECKING

from rich.cells import cell_len

from entrypoints.tui.runs import RunReader, RunRow
from entrypoints.tui.shown import Texts, age, fit, number

if TYPE_CHECKING:
    from entrypoints.container import Container

COLUMNS = ("run", "status", "step", "loss", "age")


def snapshot_text(container: "Container", language: str) -> str:
    """A table of all runs, newest first; columns are two spaces apart."""
    texts = Texts(container.translator(), language)
    rows = RunReader(container).read()
    if not rows:
        return texts("tui.list.empty")
    now = container.surroundings().now()
    table = [[texts(f"tui.list.{name}") for name in COLUMNS]]
    table += [_cells(texts, row, now) for row in rows]
    widths = [max(cell_len(line[at]) for line in table) for at in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(fit(cell, width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in table
    )


def _cells(texts: Texts, row: RunRow, now: float) -> list[str]:
    return [
        row.title,
        texts(f"status.{row.job.status.value}"),
        row.steps,
        number(row.loss, ".4f"),
        age(texts, now - row.job.created_at),
    ]
