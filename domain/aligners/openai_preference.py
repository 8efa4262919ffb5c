"""OpenAI's preference rows: an input with its messages, a preferred and a non-preferred output.

https://platform.openai.com/docs/guides/direct-preference-optimization
"""

from collections.abc import Mapping
from dataclasses import replace

from domain.aligners import openai
from domain.aligners.fields import FaultError, Values, faults_returned, kind_of
from domain.dataset import Columns, DataSource, RowFault, StandardRow

INPUT, PREFERRED, OTHER = "input", "preferred_output", "non_preferred_output"
COLUMNS = frozenset({INPUT, PREFERRED, OTHER})
NAMES = (("messages", f"{INPUT}.messages"), ("chosen", PREFERRED), ("rejected", OTHER))
"""The plain layout's columns, and what these rows call them."""


@faults_returned
def align(values: Values, source: DataSource) -> StandardRow:
    """The prompt with its two answers; a fault names the columns of these rows."""
    asked = values.get(INPUT)
    if not isinstance(asked, Mapping):
        raise FaultError(INPUT, f"it is {kind_of(asked)}, not a mapping with messages")
    plain = {
        "messages": asked.get("messages"),
        "chosen": values.get(PREFERRED),
        "rejected": values.get(OTHER),
        "tools": asked.get("tools"),
    }
    row = openai.align(plain, replace(source, ranking=True, columns=Columns()))
    if isinstance(row, RowFault):
        raise FaultError(_their_name(row.field), row.reason)
    return row


def _their_name(field: str) -> str:
    for ours, theirs in NAMES:
        if field.startswith(ours):
            return theirs + field.removeprefix(ours)
    return field
