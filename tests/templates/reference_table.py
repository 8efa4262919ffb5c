"""The table of templates beside their vendors', as Markdown: `python -m` this module writes it."""

from itertools import groupby
from pathlib import Path

from tests.templates.chats import CATALOG, CHATS
from tests.templates.pairs import PAIRS, UNCOMPARED, Pair

REFERENCES = Path(__file__).with_name("REFERENCES.md")
INTRODUCTION = """\
# Chat templates beside their vendors'

A catalogue template serves a model whose tokenizer carries none. Each is compared with its
vendors' own renderings: real tokenizers (`tokenizer`), templates read out of released GGUF files
(`gguf`), recorded goldens (`golden`) and Mistral's own library (`mistral-common`). Every row is a
test, every difference is asserted to exist.

Conversations: {chats}; those with tools where the verdict says "tools too".
"""


def reference_table() -> str:
    """The whole page: families, comparisons, and templates that no vendor's Jinja was found for."""
    chats = ", ".join(CHATS)
    parts = (INTRODUCTION.format(chats=chats), _families(), _comparisons(), _uncompared())
    return "\n".join(parts)


def _families() -> str:
    verdicts = {
        name: _verdict(list(pairs)) for name, pairs in groupby(PAIRS, lambda pair: pair.template)
    }
    rows = ["## Families", "", "| family | template | beside its vendors' |", "|---|---|---|"]
    for name in CATALOG.names("families"):
        family = CATALOG.description("families", name)
        chosen = family["template"]
        verdict = verdicts.get(chosen, "no reference") if chosen else "not applicable"
        rows.append(f"| {family['title']} | {chosen or 'none'} | {verdict} |")
    return "\n".join([*rows, ""])


def _verdict(pairs: list[Pair]) -> str:
    equal = sum(not pair.differs for pair in pairs)
    if equal == len(pairs):
        return "equal"
    return f"equal to {equal} of {len(pairs)} references, the others below"


def _comparisons() -> str:
    rows = ["## Comparisons", "", "| template | reference | verdict |", "|---|---|---|"]
    for pair in PAIRS:
        tools = ", tools too" if pair.tools else ""
        differences = [
            f"{'every conversation' if chats == 'all' else chats}: {reason}"
            for chats, reason in pair.differs.items()
        ]
        verdict = "; ".join(["differs" + tools, *differences]) if differences else "equal" + tools
        rows.append(f"| {pair.template} | {pair.source}: {pair.reference} | {verdict} |")
    return "\n".join([*rows, ""])


def _uncompared() -> str:
    names = ", ".join(UNCOMPARED)
    return f"## No reference\n\nWritten from the model card or the vendor's code alone: {names}.\n"


if __name__ == "__main__":
    REFERENCES.write_text(reference_table(), encoding="utf-8")
