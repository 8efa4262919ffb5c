"""Plans, runs and findings as plain text tables."""

import json
import sys
from collections.abc import Collection, Sequence

from domain.budget import shown_bytes
from domain.run_plan import Decision, Origin, RunPlan
from entrypoints.cli.errors import translated


def table(rows: Sequence[Sequence[str]], headings: Sequence[str]) -> str:
    """Columns as wide as their longest cell, two spaces apart."""
    widths = [max(len(row[n]) for row in (headings, *rows)) for n in range(len(headings))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (headings, *rows)
    ]
    return "\n".join(lines)


def show_plan(plan: RunPlan, hidden: Collection[Origin]) -> None:
    """The decisions, the memory by component, and what was left out of the data."""
    rows = [_row(found) for found in plan.decisions if found.origin not in hidden]
    print(table(rows, ("DECISION", "VALUE", "ORIGIN", "REASON")))
    parts = [
        (name, shown_bytes(getattr(plan.memory, name)))
        for name in (
            "weights",
            "gradients",
            "optimizer",
            "activations",
            "logits",
            "runtime",
            "total",
        )
    ]
    print("\n" + table(parts, ("MEMORY", "ESTIMATE")))
    for title, key in (("dropped", "dropped"), ("too long", "too_long")):
        lines = plan.data[key]
        assert isinstance(lines, list)
        for line in lines:
            print(f"{title}: {line}", file=sys.stderr)
    for warning in plan.warnings:
        message, hint = translated(warning)
        print(f"warning: {message} [{warning.code}]\nhint: {hint}", file=sys.stderr)
    if hidden:
        count = sum(found.origin in hidden for found in plan.decisions)
        print(f"\n{count} values are at their default; --all shows them.", file=sys.stderr)


def _row(found: Decision) -> tuple[str, str, str, str]:
    value = found.value if isinstance(found.value, str) else json.dumps(found.value)
    return found.key, value, found.origin.value, found.reason
