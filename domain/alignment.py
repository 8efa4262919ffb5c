"""Alignment: a row of any described layout becomes a standard row, or says why not.

Pure functions; the layouts are those of the LLaMA-Factory paper, Table 3 and section 4.2,
OpenAI's, TRL's and axolotl's. Each layout is one file under `domain/aligners/`.
"""

from collections.abc import Callable, Mapping, Sequence

from domain.aligners import (
    alpaca,
    openai,
    openai_preference,
    segments,
    sharegpt,
    standard,
    text,
    trl,
)
from domain.aligners.fields import Values
from domain.dataset import DataSource, Format, RowFault, StandardRow

ALIGNERS: Mapping[str, Callable[[Values, DataSource], StandardRow | RowFault]] = {
    "text": text.align,
    "alpaca": alpaca.align,
    "sharegpt": sharegpt.align,
    "openai": openai.align,
    "openai_preference": openai_preference.align,
    "standard": standard.align,
    "trl": trl.align,
    "segments": segments.align,
}


def align(values: Values, source: DataSource, format: str) -> StandardRow | RowFault:
    """The standard row of a row laid out as `format`, or the column and reason of the fault."""
    return ALIGNERS[format](values, source)


def holds_ranking(source: DataSource, columns: Sequence[str]) -> bool:
    """Whether rows are rankings: as the source says, or by their columns where it does not."""
    if source.ranking is not None:
        return source.ranking
    return {source.columns.chosen, source.columns.rejected} <= set(columns)


def detect_format(source: DataSource, values: Values) -> Format | None:
    """The one layout whose main columns are all in a row's `values`; None where that is unclear."""
    names, found = source.columns, set(values)
    pair = {names.chosen, names.rejected} <= found and source.ranking is not False
    whole = pair and openai.is_whole(values[names.chosen])
    bare = source.prompts is True and "response" not in found
    answered = trl.COMPLETION in found or pair or bare
    prompted = trl.PROMPT in found and names.prompt != trl.PROMPT
    unnamed = names.messages is None
    fits: dict[Format, bool] = {
        "alpaca": names.prompt in found
        and (names.response in found or (pair and not whole) or source.prompts is True),
        "sharegpt": unnamed and sharegpt.COLUMN in found,
        "openai": unnamed and (openai.COLUMN in found or whole) and not (prompted and pair),
        "openai_preference": found >= openai_preference.COLUMNS,
        "standard": {"prompt", "response"} <= found and names.prompt not in found,
        "trl": prompted and answered,
        "segments": segments.is_labelled(values.get(names.segments)),
    }
    fitting = [name for name, fit in fits.items() if fit]
    if not fitting and names.text in found:
        return "text"
    return fitting[0] if len(fitting) == 1 else None
