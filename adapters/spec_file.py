"""Spec files: text, overrides and validation, with every mistake found in one go."""

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, time
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from adapters.catalog import singular, suggestion
from adapters.dataset_descriptions import DESCRIPTION, include_descriptions, unclear_origins
from adapters.spec_document import (
    DEFAULT_NAMES,
    NAMELESS,
    document_adapter,
    lists_of_parts,
    to_spec,
)
from adapters.spec_text import parse, parse_value
from domain.errors import HextuneError, Place, Problem, fail, problem
from domain.planning import leaves
from domain.run_plan import Origin
from domain.run_spec import CHOICES
from ports.catalog import Catalog
from ports.spec_reader import SpecDocument, SpecText

FORMATS = {".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".json": "json"}
OVERRIDE = re.compile(r"([A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+)*)=(.*)", re.DOTALL)


class FileSpecReader:
    """Implements ports.spec_reader.SpecReader with PyYAML, tomllib and pydantic."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def load(self, path: str, overrides: Sequence[str]) -> SpecText:
        """The text of a file; its ending says the format."""
        file = Path(path)
        if file.suffix not in FORMATS:
            raise fail("spec-file-kind", Place(file=path), path=path)
        try:
            text = file.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise fail("spec-file-missing", Place(file=path), path=path) from None
        except (OSError, UnicodeDecodeError) as error:
            format = FORMATS[file.suffix].upper()
            raise fail("spec-syntax", Place(file=path), format=format, reason=error) from None
        return SpecText(
            text=text, format=FORMATS[file.suffix], source=path, overrides=tuple(overrides)
        )

    def read(self, text: SpecText) -> SpecDocument:
        """The spec, or HextuneError with every mistake in text and overrides."""
        value, origins, places, problems = plain_values(text)
        document = self.checked(text, value, origins, places, problems)
        if document is None:
            raise HextuneError(problems)
        return document

    def checked(
        self,
        text: SpecText,
        value: dict[str, Any],
        origins: dict[str, Origin],
        places: dict[str, Place],
        problems: list[Problem],
    ) -> SpecDocument | None:
        """The spec in plain values; None where there are `problems`, to which its own are added."""
        undescribed = list(include_descriptions(value, places))
        draft = Draft(value, places, text.source)
        problems += undescribed or unclear_origins(value, draft.place)
        names = {key: [self._name(key, draft, problems)] for key in CHOICES}
        listed = {
            path: self._listed(path, kind, draft, problems)
            for path, kind in lists_of_parts(self._catalog, names)
        }
        document = draft.validated(document_adapter(self._catalog, names, listed), problems)
        if problems:
            return None
        spec = to_spec(document)
        stage = self._catalog.part("stages", spec.stage.name).STAGE
        spec = replace(spec, data=spec.data.eaten_as(stage.eats))
        return SpecDocument(spec=spec, text=text, origins=origins, places=places)

    def json_schema(self) -> Mapping[str, object]:
        """JSON Schema of a spec file, with every part there is."""
        schema = self._whole.json_schema()
        schema["$defs"]["DataSource"]["properties"][DESCRIPTION] = {
            "type": "string",
            "description": "A YAML or JSON file that holds these keys, shared between specs.",
        }
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}

    @cached_property
    def _whole(self) -> TypeAdapter[Any]:
        names = {key: self._catalog.names(kind) for key, kind in CHOICES.items()}
        return document_adapter(self._catalog, names, {})

    def _listed(
        self, path: str, kind: str, draft: "Draft", problems: list[Problem]
    ) -> list[str | None] | None:
        """The names in a list of parts, None for each that is reported here; None for no list."""
        key, _, field = path.partition(".")
        section = draft.value.get(key)
        values = section.get(field, []) if isinstance(section, dict) else []
        if not isinstance(values, list):
            return None
        known, found = self._catalog.names(kind), []
        for number, each in enumerate(values):
            name = each.get("name") if isinstance(each, dict) else None
            place = draft.place(f"{path}.{number}.name")
            if name is None:
                meaning = f"Known {kind}: {', '.join(known)}."
                problems.append(
                    problem("spec-missing-key", place, key=place.field, meaning=meaning)
                )
            elif name not in known:
                near = suggestion(str(name), known)
                one = singular(kind)
                problems.append(
                    problem("spec-unknown-name", place, kind=one, name=name, suggestion=near)
                )
            found.append(name if name in known else None)
        return found

    def _name(self, key: str, draft: "Draft", problems: list[Problem]) -> str:
        """The name chosen under `key`; an unknown one is reported and its section put aside."""
        kind = CHOICES[key]
        known = self._catalog.names(kind)
        fallback = DEFAULT_NAMES[key] or NAMELESS[key]
        section = draft.value.get(key)
        if not isinstance(section, dict) or "name" not in section:
            return fallback
        if section["name"] in known:
            return str(section["name"])
        problems.append(
            problem(
                "spec-unknown-name",
                draft.place(f"{key}.name"),
                kind=singular(kind),
                name=section["name"],
                suggestion=suggestion(str(section["name"]), known),
            )
        )
        del draft.value[key]
        return fallback


def plain_values(
    text: SpecText,
) -> tuple[dict[str, Any], dict[str, Origin], dict[str, Place], list[Problem]]:
    """(values with the overrides set, who set each key, where each stands, mistaken overrides)."""
    value, lines = parse(text.text, text.format, text.source)
    if value is None:
        value = {}
    if not isinstance(value, dict):
        found = type(value).__name__
        raise fail("spec-not-mapping", Place(file=text.source, line=1), found=found)
    origins = {key: Origin.FILE for key, _ in leaves(value)}
    places = {key: Place(file=text.source, line=line) for key, line in lines.items()}
    problems = list(_apply(text.overrides, value, origins, places))
    return value, origins, places, problems


def _apply(
    overrides: Iterable[str],
    value: dict[str, Any],
    origins: dict[str, Origin],
    places: dict[str, Place],
) -> Iterator[Problem]:
    """Set each override in `value`; what is not an override is a problem."""
    for text in overrides:
        found = OVERRIDE.fullmatch(text)
        try:
            if found is None:
                raise ValueError
            path, new = found[1], parse_value(found[2])
            _set(value, path.split("."), new)
        except (ValueError, LookupError, TypeError, RecursionError, yaml.YAMLError):
            yield problem("spec-bad-override", Place(file="override", field=text), text=text)
            continue
        for known in [key for key in places if key == path or key.startswith(path + ".")]:
            del places[known]
            origins.pop(known, None)
        places[path] = Place(file="override", field=path)
        origins[path] = Origin.OVERRIDE


def _set(value: Any, path: Sequence[str], new: Any) -> None:
    """Put `new` at a path, making mappings on the way. Raises LookupError or TypeError."""
    for key, following in pairwise(path):
        if isinstance(value, list):
            value = value[int(key)]
        elif following.isdigit() or value.get(key) is not None:
            value = value[key]
        else:
            value[key] = {}
            value = value[key]
    if isinstance(value, list):
        value[int(path[-1])] = new
    elif isinstance(value, dict):
        value[path[-1]] = new
    else:
        raise TypeError(path)


class Draft:
    """A spec's plain values on their way through validation."""

    def __init__(self, value: dict[str, Any], places: dict[str, Place], source: str) -> None:
        self.value = value
        self._places = places
        self._source = source

    def place(self, field: str) -> Place:
        """Where `field` stands, or the nearest section around it, or else a key inside it."""
        key = field
        while key:
            if key in self._places:
                return Place(file=self._places[key].file, line=self._places[key].line, field=field)
            key = key.rpartition(".")[0]
        inside = [place for key, place in self._places.items() if key.startswith(f"{field}.")]
        return replace(inside[0], field=field) if inside else Place(file=self._source, field=field)

    def validated(self, adapter: TypeAdapter[Any], problems: list[Problem]) -> Any:
        """The document; mistakes are added to `problems` and None comes back."""
        try:
            text = json.dumps(self.value, default=_date_text)
        except (TypeError, ValueError) as error:
            place = Place(file=self._source)
            problems.append(
                problem("spec-bad-value", place, key="the spec", value="read", reason=error)
            )
            return None
        try:
            return adapter.validate_json(text, strict=True)
        except ValidationError as error:
            problems += self._problems(error, adapter)
            return None

    def _problems(self, error: ValidationError, adapter: TypeAdapter[Any]) -> Iterator[Problem]:
        schema = adapter.json_schema()
        reasons: dict[str, list[str]] = {}
        values: dict[str, Any] = {}
        for item in error.errors(include_url=False):
            path = _path(item["loc"], self.value, ends_missing=item["type"] == "missing")
            field = ".".join(str(part) for part in path)
            if item["type"] == "unexpected_keyword_argument":
                known = _keys_at(schema, path[:-1])
                hint = _unknown_key_hint(str(path[-1]), known)
                yield problem("spec-unknown-key", self.place(field), key=field, suggestion=hint)
            elif item["type"] == "missing":
                meaning = _keys_at(schema, path[:-1]).get(str(path[-1]), "")
                yield problem("spec-missing-key", self.place(field), key=field, meaning=meaning)
            else:
                reasons.setdefault(field, []).append(_reason(item["msg"]))
                values[field] = item["input"]
        for field, found in reasons.items():
            reason = "; or ".join(dict.fromkeys(found))
            shown = _shown(values[field])
            yield problem(
                "spec-bad-value", self.place(field), key=field or "spec", value=shown, reason=reason
            )


def _path(location: Sequence[int | str], value: Any, *, ends_missing: bool) -> list[int | str]:
    """The keys in an error's location; names of a union's branches, which stand in no text, go."""
    path: list[int | str] = []
    for number, part in enumerate(location):
        try:
            value = value[part]
        except (LookupError, TypeError):
            if not (ends_missing and number == len(location) - 1):
                continue
        path.append(part)
    return path


def _date_text(value: Any) -> str:
    """TOML's dates and times as text, as YAML gives them. Raises TypeError for anything else."""
    if isinstance(value, date | time):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is no value of a spec")


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def _reason(message: str) -> str:
    """A validator's sentence as a clause, in a spec's own words."""
    for theirs, ours in (
        ("Input should be", "it should be"),
        ("a valid array", "a list"),
        ("an object", "a mapping of keys"),
    ):
        message = message.replace(theirs, ours)
    return message


def _unknown_key_hint(key: str, known: Mapping[str, str]) -> str:
    nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if nearest:
        return f"Did you mean `{nearest[0]}`? {known[nearest[0]]}".rstrip()
    return "Known here: " + ", ".join(known) + "."


def _keys_at(schema: Mapping[str, Any], path: Sequence[int | str]) -> dict[str, str]:
    """Keys allowed at a path of the schema, each with its description."""
    node: Mapping[str, Any] = schema
    for part in (*path, None):
        while "$ref" in node or "anyOf" in node or "allOf" in node:
            if "$ref" in node:
                node = schema["$defs"][node["$ref"].rpartition("/")[2]]
            else:
                node = next(
                    n for n in node.get("anyOf", node.get("allOf")) if n != {"type": "null"}
                )
        if part is not None:
            node = _inner(node, part)
    return {key: _meaning(schema, inner) for key, inner in node.get("properties", {}).items()}


def _inner(node: Mapping[str, Any], part: int | str) -> Mapping[str, Any]:
    """What stands in a node of the schema under a key or a number."""
    if isinstance(part, int):
        found = node["prefixItems"][part] if "prefixItems" in node else node["items"]
    else:
        found = node["properties"][part]
    return found  # type: ignore[no-any-return]


def _meaning(schema: Mapping[str, Any], node: Mapping[str, Any]) -> str:
    """A node's description, or that of the section it refers to."""
    if "description" not in node and "$ref" in node:
        node = schema["$defs"][node["$ref"].rpartition("/")[2]]
    return str(node.get("description", ""))
