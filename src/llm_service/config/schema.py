"""The JSON Schema of the configuration file, for editors and for checks before a deployment."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from llm_service.config.render import rendered_value
from llm_service.config.settings import Settings
from llm_service.config.shape import Group, Leaf, ListOf, MapOf, Setting, Shape, describe
from llm_service.domain import Rule, Secret

_JSON_TYPES: Final[Mapping[type, str]] = {bool: "boolean", int: "integer", float: "number", Decimal: "number"}
_REFERENCE: Final[Mapping[str, str]] = {"$ref": "#/$defs/reference"}


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the file, with meanings, defaults and bounds; secrets are `writeOnly`."""
    reference = {
        "description": "A value from elsewhere: ${VAR}, ${VAR:-default} or file:PATH.",
        "type": "string",
        "pattern": "^file:|\\$\\{",
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of llm-service",
        **_group(describe(Settings)),
        "$defs": {"reference": reference},
    }


def _group(group: Group) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "description": group.doc,
        "type": ["object", "null"],
        "properties": {name: _setting(setting) for name, setting in group.settings.items()},
        "additionalProperties": False,
    }
    required = [name for name, setting in group.settings.items() if setting.required]
    return schema | ({"required": required} if required else {})


def _setting(setting: Setting) -> dict[str, Any]:
    schema = _shape(setting.shape) | {"description": setting.doc}
    if setting.required or isinstance(setting.shape, Group):
        return schema
    return schema | {"default": rendered_value(setting.shape, setting.default)}


def _shape(shape: Shape) -> dict[str, Any]:
    match shape:
        case Leaf():
            return _leaf(shape)
        case ListOf():
            items = {"items": _shape(shape.item), **_words(shape.rules)}
            if shape.or_single:
                return {"anyOf": [_shape(shape.item), {"type": "array", **items}]}
            return {"type": ["array", "null"], **items}
        case MapOf():
            values = _shape(shape.value)
            return {
                "type": ["object", "null"],
                "propertyNames": _words(shape.key.rules),
                "additionalProperties": values,
            }
        case Group():
            return _group(shape)


def _leaf(leaf: Leaf) -> dict[str, Any]:
    """A value as its type wants it, or a reference to one, or null for the default."""
    if leaf.choices:
        direct: dict[str, Any] = {"enum": list(leaf.choices)}
    else:
        # A number may stand where a text is wanted: it is taken as it is written.
        direct = {"type": _JSON_TYPES.get(leaf.type, ["string", "number"]), **_words(leaf.rules)}
    schema = {"anyOf": [direct, _REFERENCE, {"type": "null"}]}
    return schema | ({"writeOnly": True} if leaf.type is Secret else {})


def _words(rules: tuple[Rule, ...]) -> dict[str, object]:
    return {word: value for rule in rules for word, value in rule.json_schema().items()}
