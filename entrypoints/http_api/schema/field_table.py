"""The fields of requests as Markdown tables, and the page of all of them.

`python -m entrypoints.http_api.schema.field_table > docs/http-fields.md` writes it anew.
"""

import json
from collections.abc import Iterator, Mapping

from entrypoints.http_api.schema.completion_fields import COMPLETION_FIELDS
from entrypoints.http_api.schema.fields import (
    MESSAGE_FIELDS,
    REQUEST_FIELDS,
    STREAM_FIELDS,
    FieldRule,
    Treatment,
)
from entrypoints.http_api.schema.response_fields import ITEM_FIELDS, RESPONSE_FIELDS
from entrypoints.http_api.schema.texts import EMBEDDING_FIELDS

ABOUT = """\
# HTTP fields

Every field of OpenAI's requests, and what `tune serve http` does with it: it is honoured, or
accepted only while it asks for nothing, or refused by name; nothing is ignored. Null asks for
nothing everywhere. `python -m entrypoints.http_api.schema.field_table` writes this page.
"""


def field_table(rules: Mapping[str, FieldRule] = REQUEST_FIELDS) -> str:
    """One row for each field: its name, what becomes of it, and what it may be."""
    rows = [f"| `{name}` | {rule.treatment} | {meaning(rule)} |" for name, rule in rules.items()]
    return "\n".join(["| field | treatment | accepted |", "|---|---|---|", *rows])


def meaning(rule: FieldRule) -> str:
    """What a field may be."""
    if rule.treatment is Treatment.HONOURED:
        return rule.note
    return " or ".join(["null", *(f"`{json.dumps(value)}`" for value in rule.neutral)])


def page() -> str:
    """The whole page."""
    return "\n".join([ABOUT, *_sections()])


def _sections() -> Iterator[str]:
    parts: Mapping[str, Mapping[str, FieldRule]] = {
        "## `POST /v1/chat/completions`": REQUEST_FIELDS,
        "### One of `messages`": MESSAGE_FIELDS,
        "### `stream_options`, here and in completions": STREAM_FIELDS,
        "## `POST /v1/completions`": COMPLETION_FIELDS,
        "## `POST /v1/responses`": RESPONSE_FIELDS,
        **{f"### An item of `input`, type `{kind}`": rules for kind, rules in ITEM_FIELDS.items()},
        "## `POST /v1/embeddings`": EMBEDDING_FIELDS,
    }
    for heading, rules in parts.items():
        yield f"{heading}\n\n{field_table(rules)}\n"


if __name__ == "__main__":
    print(page(), end="")
