"""OpenAI's API description, where it lies beside this checkout, and what it says of replies."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

PATH = Path(__file__).parents[2] / ".." / "shared" / "data" / "openai" / "openai-openapi.yaml"
JSON, EVENTS = "application/json", "text/event-stream"


@cache
def description() -> dict[str, Any]:
    """The whole description; skips the test where there is none."""
    if not PATH.exists():
        pytest.skip("OpenAI's API description is not beside this checkout")
    found: dict[str, Any] = yaml.load(PATH.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    statuses = found["components"]["schemas"]["FineTuningJob"]["properties"]["status"]["enum"]
    # its own example of a paused job has this status, which its schema leaves out
    statuses.append("paused")
    return found


def operations() -> set[tuple[str, str]]:
    """Methods and paths of everything it describes."""
    paths = description()["paths"]
    return {(method.upper(), path) for path, item in paths.items() for method in item}


def reply_schema(method: str, path: str, media: str) -> dict[str, Any] | None:
    """What it says of a good reply; None where it says nothing."""
    operation = description()["paths"][path][method.lower()]
    content = operation["responses"]["200"].get("content", {})
    found: dict[str, Any] | None = content.get(media, {}).get("schema")
    return found


@cache
def validator(reference: str) -> jsonschema_rs.Draft202012Validator:
    """What checks values against one of its schemas."""
    components = {"schemas": modern(description()["components"]["schemas"])}
    return jsonschema_rs.Draft202012Validator({"$ref": reference, "components": components})


def modern(node: Any) -> Any:
    """A schema with what it has left of OpenAPI 3.0 written as JSON Schema reads it."""
    if isinstance(node, list):
        return [modern(each) for each in node]
    if not isinstance(node, dict):
        return node
    # examples are no part of what is allowed, and hold dates, which JSON has not
    found = {key: modern(value) for key, value in node.items() if key != "example"}
    if found.get("exclusiveMinimum") is True:
        found["exclusiveMinimum"] = found["minimum"]
    if found.get("nullable") is True:
        return {"anyOf": [found, {"type": "null"}]}
    return found


def faults(reference: str, value: object) -> Iterator[str]:
    """What a value has that its schema does not allow, each with its place."""
    for error in validator(reference).iter_errors(value):
        yield f"{'.'.join(map(str, error.instance_path))}: {error.message[:300]}"


def fields_of(name: str) -> set[str]:
    """The fields of one of its schemas."""
    return set(_fields(description()["components"]["schemas"][name]))


def _fields(schema: dict[str, Any]) -> Iterator[str]:
    if "$ref" in schema:
        yield from fields_of(schema["$ref"].rpartition("/")[2])
    yield from schema.get("properties", {})
    for part in schema.get("allOf", []):
        yield from _fields(part)
