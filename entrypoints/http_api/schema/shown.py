"""Request bodies in the OpenAPI document, for routes that read bodies themselves."""

from typing import Any

from pydantic import BaseModel

REFERENCE = "#/$defs/"


def json_schema(kind: type[BaseModel]) -> dict[str, Any]:
    """A JSON body."""
    return _body("application/json", inlined(kind.model_json_schema()))


def form_schema(file: str, fields: type[BaseModel] | None) -> dict[str, Any]:
    """A multipart form with one file; nested fields are written `name[key]`."""
    properties: dict[str, Any] = {file: {"type": "string", "format": "binary"}}
    required = [file]
    if fields is not None:
        schema = inlined(fields.model_json_schema())
        plain = {k: v for k, v in schema["properties"].items() if k in schema["required"]}
        properties |= plain
        required += schema["required"]
    shape = {"type": "object", "properties": properties, "required": required}
    return _body("multipart/form-data", shape)


def inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without definitions of its own, whose references would lead nowhere."""
    definitions = schema.pop("$defs", {})

    def resolved(node: Any) -> Any:
        if isinstance(node, list):
            return [resolved(each) for each in node]
        if not isinstance(node, dict):
            return node
        if str(node.get("$ref", "")).startswith(REFERENCE):
            return resolved(definitions[node["$ref"].removeprefix(REFERENCE)])
        return {key: resolved(value) for key, value in node.items()}

    found: dict[str, Any] = resolved(schema)
    return found


def _body(kind: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {kind: {"schema": schema}}}}
