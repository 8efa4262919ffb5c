"""Results of an evaluation on the terminal."""

import sys
from collections.abc import Mapping
from typing import Any

from domain.measurement import Metric
from entrypoints.cli.render import table

Result = Mapping[str, Any]
"""An evaluation's result, as results.json has it."""
SHOWN_EXCLUDED = 5
"""Rows left out that are shown; results.json lists them all."""


def show_results(results: list[Result], *, everything: bool) -> None:
    """A table for each evaluation, and two models beside each other; talk goes to stderr."""
    told: set[str] = set()
    for result in results:
        print(_table(result, everything))
        if result["comparison"]:
            print("\n" + compared(result))
        print()
        excluded = [] if _told(result) in told else result["excluded"]
        told.add(_told(result))
        shown = excluded if everything else excluded[:SHOWN_EXCLUDED]
        for line in shown:
            print(f"left out: {line}", file=sys.stderr)
        if len(excluded) > len(shown):
            print(f"left out: {len(excluded) - len(shown)} more", file=sys.stderr)


def _told(result: Result) -> str:
    """The evaluation a result is of; several scores of one leave out the same rows."""
    return str(result.get("evaluation") or result["title"])


def _table(result: Result, everything: bool) -> str:
    models = result["models"]
    first = next(iter(models.values()))
    parts = [("overall", {name: found["overall"] for name, found in models.items()})]
    wanted = ["categories"] if len(first["categories"]) > 1 else []
    wanted += ["subjects"] if everything else []
    for part in wanted:
        parts += [
            (name, {model: found[part].get(name) for model, found in models.items()})
            for name in first[part]
        ]
    rows = [
        (
            name,
            *(figure(result["metric"], found[model]) for model in models),
            str(next(each["items"] for each in found.values() if each)),
        )
        for name, found in parts
    ]
    if first.get("together") is not None:
        whole = [f"{found['together'] * 100:.1f}" for found in models.values()]
        rows.insert(1, ("all answers together", *whole, rows[0][-1]))
    return table(rows, (result["title"].upper(), *models, "ITEMS"))


def figure(metric: str, found: Mapping[str, Any] | None, sign: str = "") -> str:
    """An estimate with its 95% interval; shares as percentages."""
    if found is None:
        return "-"
    scale, digits = (100, ".1f") if Metric(metric).percent else (1, ".3f")
    value, low, high = (f"{found[key] * scale:{sign}{digits}}" for key in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def compared(result: Result) -> str:
    """Two models beside each other, in one line."""
    two = result["comparison"]
    metric = Metric(result["metric"])
    unit = " nats per token" if metric is Metric.PERPLEXITY else " points"
    line = (
        f"{two['after']} less {two['before']}: "
        f"{figure(result['metric'], two['difference'], '+')}{unit}, p = {two['p_value']:.3g} "
        f"({two['test']}); {two['gained']} better, {two['lost']} worse"
    )
    return line + (f"; {two['unmatched']} measured on one only" if two["unmatched"] else "")
