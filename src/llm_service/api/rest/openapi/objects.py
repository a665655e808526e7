"""The forms of JSON Schema that repeat."""

from typing import Any

Json = dict[str, Any]


def open_object(required: Json, optional: Json | None = None, *, said: str | None = None) -> Json:
    """An object that may hold further fields."""
    schema = {"type": "object", "required": [*required], "properties": {**required, **(optional or {})}}
    return schema if said is None else {**schema, "description": said}


def closed_object(required: Json, optional: Json | None = None, *, said: str | None = None) -> Json:
    """An object of ours: these fields and no others."""
    return {**open_object(required, optional, said=said), "additionalProperties": False}


def list_of(schema: Json) -> Json:
    """A list of such values."""
    return {"type": "array", "items": schema}


def map_of(schema: Json) -> Json:
    """An object of such values by name."""
    return {"type": "object", "additionalProperties": schema}


def ref(name: str) -> Json:
    """One of the document's schemas."""
    return {"$ref": f"#/components/schemas/{name}"}
