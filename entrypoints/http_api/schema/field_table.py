"""The fields of a chat completion request as a Markdown table."""

import json
from collections.abc import Mapping

from entrypoints.http_api.schema.fields import REQUEST_FIELDS, FieldRule, Treatment


def field_table(rules: Mapping[str, FieldRule] = REQUEST_FIELDS) -> str:
    """One row for each field: its name, what becomes of it, and what it may be."""
    rows = [f"| `{name}` | {rule.treatment} | {meaning(rule)} |" for name, rule in rules.items()]
    return "\n".join(["| field | treatment | accepted |", "|---|---|---|", *rows])


def meaning(rule: FieldRule) -> str:
    """What a field may be."""
    if rule.treatment is Treatment.HONOURED:
        return rule.note
    return " or ".join(["null", *(f"`{json.dumps(value)}`" for value in rule.neutral)])
