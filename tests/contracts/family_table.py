"""What became of every family, as Markdown: `python -m` this module runs them and writes it."""

import tempfile
from pathlib import Path
from typing import Any

from adapters.catalog import FolderCatalog
from tests.contracts.family_runs import judged, run_family
from tests.fixtures.tiny_families import (
    CONVERTED_ONLY,
    SEES_AND_HEARS,
    SPECIAL,
    native_types,
)

FAMILIES = Path(__file__).with_name("FAMILIES.md")
CATALOG = FolderCatalog()
INTRODUCTION = """\
# Model families

A tiny model of random weights of each type (2 layers, width 64) goes through the real parts: plan,
load, LoRA through the trainer, save, reload, merge, generate. `works` means that its loss falls,
that base plus adapter and the merged model, read back, give the same logits and the same answer,
and that the answer is not the base's. `python -m tests.contracts.family_table` writes this page.
"""


def family_table() -> str:
    """The whole page."""
    verdicts = {kind: _verdict(kind) for kind in SPECIAL}
    return "\n".join((INTRODUCTION, _types(verdicts), _families(verdicts)))


def _verdict(kind: str) -> tuple[str, str, str, str]:
    """(attention, layers with adapters, layers left alone, what became of it)."""
    with tempfile.TemporaryDirectory() as folder:
        found = run_family(kind, Path(folder))
    layers, avoided = (
        ", ".join(sorted({group.name for group in found.linear if group.avoid is avoid}))
        for avoid in (False, True)
    )
    return found.attention, layers, avoided, judged(found)


def _types(verdicts: dict[str, tuple[str, str, str, str]]) -> str:
    heading = "| model_type | attention | adapters on | left alone | verdict |"
    rows = ["## Types", "", heading, "|---|---|---|---|---|"]
    for kind, (attention, layers, avoided, verdict) in verdicts.items():
        rows.append(f"| {kind} | {attention} | {layers} | {avoided} | {verdict} |")
    return "\n".join([*rows, ""])


def _families(verdicts: dict[str, tuple[str, str, str, str]]) -> str:
    rows = ["## Families", "", "| family | title | verdict |", "|---|---|---|"]
    for name in CATALOG.names("families"):
        family = CATALOG.description("families", name)
        known = [kind for kind in family["model_type"] if kind in native_types()]
        found = [f"{kind}: {_of_type(kind, verdicts)}" for kind in known] or [_remote(family)]
        rows.append(f"| {name} | {family['title']} | {'; '.join(found)} |")
    return "\n".join([*rows, ""])


def _of_type(kind: str, verdicts: dict[str, tuple[str, str, str, str]]) -> str:
    if kind in SEES_AND_HEARS:
        return "has an image part: see the multimodal tests"
    return verdicts[kind][3]


def _remote(family: Any) -> str:
    """What to do about a family that only its own code loads."""
    if family["convertible"]:
        return f"`tune model convert` ({', '.join(family['convertible'])})"
    if family["successor"]:
        return f"remote code; native successor {family['successor']}"
    return "remote code; no native successor known"


def names_in(page: str) -> tuple[set[str], set[str]]:
    """Types and families that a page has rows for."""
    _, types, families = page.split("\n## ")
    first, second = (
        {line.split("|")[1].strip() for line in part.splitlines() if line.startswith("| ")}
        for part in (types, families)
    )
    return first - {"model_type"}, second - {"family"}


def expected_names() -> tuple[set[str], set[str]]:
    """Types and families that the page should have rows for."""
    types = (native_types() - SEES_AND_HEARS) | CONVERTED_ONLY
    return types, set(CATALOG.names("families"))


if __name__ == "__main__":
    FAMILIES.write_text(family_table(), encoding="utf-8")
