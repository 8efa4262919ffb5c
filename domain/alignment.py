"""Alignment: a row of any described layout becomes a standard row, or says why not.

Pure functions; the layouts are those of the LLaMA-Factory paper, Table 3 and section 4.2, and
OpenAI's. Each layout is one file under `domain/aligners/`.
"""

from collections.abc import Callable, Mapping, Sequence

from domain.aligners import alpaca, openai, sharegpt, standard, text
from domain.aligners.fields import Values
from domain.dataset import DataSource, RowFault, StandardRow

ALIGNERS: Mapping[str, Callable[[Values, DataSource], StandardRow | RowFault]] = {
    "text": text.align,
    "alpaca": alpaca.align,
    "sharegpt": sharegpt.align,
    "openai": openai.align,
    "standard": standard.align,
}


def align(values: Values, source: DataSource, format: str) -> StandardRow | RowFault:
    """The standard row of a row laid out as `format`, or the column and reason of the fault."""
    return ALIGNERS[format](values, source)


def holds_ranking(source: DataSource, columns: Sequence[str]) -> bool:
    """Whether rows are rankings: as the source says, or by their columns where it does not."""
    if source.ranking is not None:
        return source.ranking
    return {source.columns.chosen, source.columns.rejected} <= set(columns)


def detect_format(source: DataSource, columns: Sequence[str]) -> str | None:
    """The one layout whose main columns are all in `columns`, or None where that is unclear."""
    names, found = source.columns, set(columns)
    pair = {names.chosen, names.rejected} <= found
    fits = {
        "alpaca": names.prompt in found and (names.response in found or pair),
        "sharegpt": (names.messages or sharegpt.COLUMN) in found and names.messages is None,
        "openai": (names.messages or openai.COLUMN) in found and names.messages is None,
        "standard": {"prompt", "response"} <= found and names.prompt not in found,
    }
    fitting = [name for name, fit in fits.items() if fit]
    if not fitting and names.text in found:
        return "text"
    return fitting[0] if len(fitting) == 1 else None
