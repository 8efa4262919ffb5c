"""Which template of the catalogue serves a model whose tokenizer carries none.

A family is one file of `adapters/data/families`. Its `hub_ids` are names or patterns such as
`Qwen/Qwen2.5-*`; a model matches by its full hub id, or by the last part of its name, so that a
local folder and another publisher's copy are found too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from ports.catalog import Catalog


@dataclass(frozen=True, slots=True)
class TemplateChoice:
    """A template of the catalogue and why it was chosen."""

    name: str
    """Name of the template in the catalogue."""
    text: str
    """The Jinja text."""
    reason: str
    """One clause for the plan: what the choice rests on."""


def template_for(catalog: Catalog, *, model_name: str, model_type: str) -> TemplateChoice | None:
    """The template for a model, by its name or else by its type; None where neither is sure.

    A name that belongs to a family without a chat format gets no template, whatever its type.
    """
    families = [catalog.description("families", name) for name in catalog.names("families")]
    by_name = sorted(_matches(families, model_name), key=lambda match: _weight(match[0]))
    if by_name:
        pattern, family = by_name[-1]
        return _choice(catalog, family["template"], f"`{model_name}` matches `{pattern}`")
    same_type = {
        family["template"]: family["title"]
        for family in families
        if family["template"] and model_type in family["model_type"]
    }
    if len(same_type) != 1:
        return None
    template, title = same_type.popitem()
    return _choice(catalog, template, f"every known chat model of type `{model_type}` is {title}")


def successor_of(catalog: Catalog, *, model_name: str, model_type: str) -> str | None:
    """The native model that takes the place of one of remote code, by its name or else type."""
    families = [catalog.description("families", name) for name in catalog.names("families")]
    by_name = sorted(_matches(families, model_name), key=lambda match: _weight(match[0]))
    if by_name:
        found: str | None = by_name[-1][1]["successor"]
        return found
    same_type = {family["successor"] for family in families if model_type in family["model_type"]}
    return same_type.pop() if len(same_type) == 1 else None


def avoided_layers(catalog: Catalog, model_type: str) -> frozenset[str]:
    """Names of layers that adapters leave alone unless asked: routers and gates of experts."""
    families = (catalog.description("families", name) for name in catalog.names("families"))
    return frozenset(
        layer
        for family in families
        if model_type in family["model_type"]
        for layer in family["lora_avoid"]
    )


def _matches(
    families: list[Mapping[str, Any]], model_name: str
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Patterns that fit the model's full name or its last part, each with its family."""
    full = model_name.replace("\\", "/").rstrip("/").lower()
    last = full.rpartition("/")[2]
    for family in families:
        for pattern in family["hub_ids"]:
            low = pattern.lower()
            if fnmatchcase(full, low) or fnmatchcase(last, low.rpartition("/")[2]):
                yield pattern, family


def _weight(pattern: str) -> tuple[int, str]:
    """How specific a pattern is: letters that must match; the pattern itself breaks a tie."""
    return len(pattern.rpartition("/")[2].replace("*", "")), pattern


def _choice(catalog: Catalog, template: str | None, reason: str) -> TemplateChoice | None:
    if template is None:
        return None
    text = catalog.description("templates", template)["text"]
    return TemplateChoice(name=template, text=text, reason=reason)
