"""Spec text to plain values, with the line of every key: YAML 1.2, TOML and JSON.

YAML is read by the core schema of YAML 1.2: `2e-4` is a number and `no` is text, which PyYAML's
own YAML 1.1 rules get wrong. A document whose aliases blow it up is refused before it is expanded.
"""

import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import yaml

from domain.errors import Place, fail

Places = dict[str, int]
"""Dotted key to its line, from 1."""
LARGEST = 100_000
"""Nodes and characters that the aliases of a document may make of it; specs have a few hundred."""


class CoreLoader(yaml.SafeLoader):
    """Scalars by the YAML 1.2 core schema; no dates, no sexagesimal numbers."""


CoreLoader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$", list("-+0123456789")),
    (
        "float",
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)"
        r"|\.(?:nan|NaN|NAN))$",
        list("-+0123456789."),
    ),
):
    CoreLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)
CoreLoader.add_constructor(
    "tag:yaml.org,2002:int",
    lambda loader, node: int(str(node.value), {"0o": 8, "0x": 16}.get(node.value[:2], 10)),
)


def parse(text: str, format: str, source: str) -> tuple[Any, Places]:
    """(the document's value, lines of its keys). Raises HextuneError for broken syntax."""
    try:
        return PARSERS[format](text, source)
    except RecursionError:
        place, reason = Place(file=source), "it is nested too deeply, or within itself"
        raise fail("spec-syntax", place, format=format.upper(), reason=reason) from None


def parse_value(text: str) -> Any:
    """The value of an override, as YAML reads it. Raises yaml.YAMLError."""
    loader = CoreLoader(text)
    node = _composed(loader, text)
    return None if node is None else loader.construct_document(node)


def _composed(loader: CoreLoader, text: str) -> yaml.Node | None:
    """The document's nodes, aliases as yet shared. Raises yaml.YAMLError where they say too much.

    A document without aliases has at most two nodes and characters for each of its own.
    """
    node = loader.get_single_node()
    if node is not None:
        _measure(node, {}, max(2 * len(text), LARGEST))
    return node


def _measure(node: yaml.Node, sizes: dict[int, int], most: int) -> int:
    """Nodes and characters of `node` with its aliases written out; `sizes` holds those known."""
    if id(node) not in sizes:
        children: Sequence[yaml.Node] = node.value if isinstance(node, yaml.SequenceNode) else ()
        if isinstance(node, yaml.MappingNode):
            children = [each for pair in node.value for each in pair]
        own = len(node.value) if isinstance(node, yaml.ScalarNode) else 0
        sizes[id(node)] = 1 + own + sum(_measure(child, sizes, most) for child in children)
        if sizes[id(node)] > most:
            reason = f"with its aliases written out it is longer than {most} characters"
            raise yaml.composer.ComposerError(None, None, reason, node.start_mark)
    return sizes[id(node)]


def _yaml(text: str, source: str) -> tuple[Any, Places]:
    try:
        loader = CoreLoader(text)
        node = _composed(loader, text)
        places: Places = {}
        return (None if node is None else _build(loader, node, "", places, source)), places
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        reason = error.problem or error.context or "unreadable"
        raise fail(
            "spec-syntax", Place(file=source, line=line), format="YAML", reason=reason
        ) from None
    except yaml.YAMLError as error:
        reason = str(error).partition("\n")[0]
        raise fail("spec-syntax", Place(file=source), format="YAML", reason=reason) from None


def _build(loader: CoreLoader, node: Any, path: str, places: Places, source: str) -> Any:
    """The value of a node; every key's line goes into `places`."""
    if isinstance(node, yaml.MappingNode):
        value: dict[str, Any] = {}
        loader.flatten_mapping(node)
        for key_node, inner in node.value:
            key = str(loader.construct_object(key_node, deep=True))
            inside, line = f"{path}.{key}" if path else key, key_node.start_mark.line + 1
            if key in value:
                place = Place(file=source, line=line, field=inside)
                raise fail("spec-duplicate-key", place, key=key, first=places[inside])
            places[inside] = line
            value[key] = _build(loader, inner, inside, places, source)
        return value
    if isinstance(node, yaml.SequenceNode):
        items = []
        for number, inner in enumerate(node.value):
            places[f"{path}.{number}"] = inner.start_mark.line + 1
            items.append(_build(loader, inner, f"{path}.{number}", places, source))
        return items
    return loader.construct_object(node, deep=True)


def _json(text: str, source: str) -> tuple[Any, Places]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        place = Place(file=source, line=error.lineno)
        raise fail("spec-syntax", place, format="JSON", reason=error.msg) from None
    escaped = JSON_ONLY.sub(lambda found: f"\\u{ord(found[0]):04x}", text.replace("\t", " "))
    _, places = _yaml(escaped, source)
    return value, places


JSON_ONLY = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""Characters of JSON strings that YAML refuses or takes for the end of a line."""

TOML_LINE = re.compile(r"\(at line (\d+), column \d+\)")


def _toml(text: str, source: str) -> tuple[Any, Places]:
    try:
        value = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = TOML_LINE.search(str(error))
        place = Place(file=source, line=int(found[1]) if found else None)
        reason = TOML_LINE.sub("", str(error)).strip()
        raise fail("spec-syntax", place, format="TOML", reason=reason) from None
    return value, _toml_places(text)


def _toml_places(text: str) -> Places:
    """Lines of bare and dotted keys under their table headers; inline tables count as one line."""
    places: Places = {}
    table, tables = "", dict[str, int]()
    for number, line in enumerate(text.split("\n"), 1):
        header = re.match(r"\s*(\[\[?)\s*([^\]]+?)\s*\]", line)
        if header:
            table, array, inside = header[2], header[2], header[2].rpartition(".")
            if header[1] == "[[":
                tables[array] = tables.get(array, -1) + 1
                table = f"{array}.{tables[array]}"
            elif inside[0] in tables:
                table = f"{inside[0]}.{tables[inside[0]]}.{inside[2]}"
            places[table] = number
            continue
        key = re.match(r"\s*([A-Za-z0-9_.-]+)\s*=", line)
        if key:
            path = f"{table}.{key[1]}" if table else key[1]
            places[path] = number
            for inner in re.finditer(r"[{,]\s*([A-Za-z0-9_-]+)\s*=", line):
                places[f"{path}.{inner[1]}"] = number
    return places


PARSERS: Mapping[str, Callable[[str, str], tuple[Any, Places]]] = {
    "yaml": _yaml,
    "json": _json,
    "toml": _toml,
}
