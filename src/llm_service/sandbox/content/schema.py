"""Values that fit a JSON schema: arguments of tool calls and structured answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from llm_service.sandbox.content.dice import Dice
from llm_service.sandbox.content.strings import string_for
from llm_service.sandbox.messages import Json

MAX_DEPTH: Final = 12
_SPAN: Final = 100


def value_for(schema: Json, dice: Dice, words: Sequence[str] = ()) -> Any:
    """A value that the schema accepts; `words` are used for free strings, in their order."""
    return _Maker(schema, dice, words).make(schema, 0)


class _Maker:
    """One pass over one schema; knows its root, for references."""

    def __init__(self, root: Json, dice: Dice, words: Sequence[str]) -> None:
        self._root = root
        self._dice = dice
        self._words = list(words)

    def make(self, schema: object, depth: int) -> Any:
        if not isinstance(schema, dict):
            return {} if schema is not False else None
        schema = self._resolved(schema, depth)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self._dice.pick(schema["enum"])
        kind = self._kind(schema, depth)
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, depth)
        if kind in ("integer", "number"):
            return self._number(schema, whole=kind == "integer")
        if kind == "boolean":
            return self._dice.below(2) == 1
        if kind == "null":
            return None
        return string_for(schema, self._dice, self._words)

    def _resolved(self, schema: Json, depth: int) -> Json:
        """Follow a reference, take one branch of a choice, merge what must hold together."""
        for _ in range(MAX_DEPTH):
            if "$ref" in schema:
                rest = {name: value for name, value in schema.items() if name != "$ref"}
                schema = {**self._referenced(str(schema["$ref"])), **rest}
            elif branches := schema.get("anyOf") or schema.get("oneOf"):
                rest = {name: value for name, value in schema.items() if name not in ("anyOf", "oneOf")}
                schema = _merged([rest, self._branch(branches, depth)])
            elif parts := schema.get("allOf"):
                rest = {name: value for name, value in schema.items() if name != "allOf"}
                schema = _merged([rest, *(self._resolved(part, depth + 1) for part in parts if isinstance(part, dict))])
            else:
                break
        return schema

    def _branch(self, branches: list[Any], depth: int) -> Json:
        usable = [branch for branch in branches if isinstance(branch, dict)] or [{}]
        if depth < MAX_DEPTH // 2:
            return self._dice.pick(usable)
        return min(usable, key=lambda branch: "$ref" in branch or branch.get("type") in ("object", "array"))

    def _referenced(self, pointer: str) -> Json:
        target: Any = self._root
        for part in pointer.removeprefix("#").strip("/").split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            if name:
                target = target.get(name, {}) if isinstance(target, dict) else {}
        return target if isinstance(target, dict) else {}

    def _kind(self, schema: Json, depth: int) -> str:
        kind = schema.get("type")
        if isinstance(kind, list):
            kinds = [name for name in kind if name != "null"] or ["null"]
            return "null" if depth >= MAX_DEPTH and "null" in kind else str(self._dice.pick(kinds))
        if isinstance(kind, str):
            return kind
        if "properties" in schema or "required" in schema or depth == 0:
            return "object"
        return "array" if "items" in schema or "prefixItems" in schema else "string"

    def _object(self, schema: Json, depth: int) -> Json:
        properties = schema.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        required = [name for name in schema.get("required") or () if isinstance(name, str)]
        deep = depth >= MAX_DEPTH // 2
        names = [name for name in properties if name in required or (not deep and self._dice.below(3))]
        names += [name for name in required if name not in properties]
        return {name: self.make(properties.get(name, {"type": "string"}), depth + 1) for name in names}

    def _array(self, schema: Json, depth: int) -> list[Any]:
        fixed = schema.get("prefixItems") or []
        lowest = int(schema.get("minItems", 0))
        highest = int(schema.get("maxItems", max(lowest, 3)))
        size = (
            lowest
            if depth >= MAX_DEPTH // 2
            else self._dice.between(max(lowest, min(1, highest)), max(lowest, min(highest, lowest + 3)))
        )
        size = max(size, lowest, min(len(fixed), highest))
        items = [self.make(part, depth + 1) for part in fixed[:size]]
        free = schema.get("items", {"type": "string"})
        for _ in range(64):
            if len(items) >= size or (free is False):
                break
            item = self.make(free, depth + 1)
            if not (schema.get("uniqueItems") and item in items):
                items.append(item)
        return items

    def _number(self, schema: Json, *, whole: bool) -> int | float:
        low, high = _bounds(schema, whole=whole)
        step = schema.get("multipleOf")
        if isinstance(step, int | float) and step > 0:
            first = -(-low // step)
            return _as_number((first + self._dice.below(max(1, int(high // step - first) + 1))) * step, whole=whole)
        if whole:
            return self._dice.between(int(low), max(int(low), int(high)))
        return _as_number(low + (high - low) * self._dice.below(1001) / 1000, whole=False)


def _bounds(schema: Json, *, whole: bool) -> tuple[float, float]:
    margin = 1 if whole else 1e-3
    lows = [_number_in(schema, "minimum"), _number_in(schema, "exclusiveMinimum", margin)]
    highs = [_number_in(schema, "maximum"), _number_in(schema, "exclusiveMaximum", -margin)]
    low = max((value for value in lows if value is not None), default=None)
    high = min((value for value in highs if value is not None), default=None)
    if low is None:
        return (0, _SPAN) if high is None else (min(0, high - _SPAN) if high < _SPAN else 0, high)
    return low, low + _SPAN if high is None else high


def _number_in(schema: Json, name: str, margin: float = 0) -> float | None:
    value = schema.get(name)
    return value + margin if isinstance(value, int | float) and not isinstance(value, bool) else None


def _as_number(value: float, *, whole: bool) -> int | float:
    return int(value) if whole else round(float(value), 6)


def _merged(parts: list[Json]) -> Json:
    merged: Json = {}
    for part in parts:
        for name, value in part.items():
            if name == "properties" and isinstance(merged.get(name), dict) and isinstance(value, dict):
                merged[name] = {**merged[name], **value}
            elif name == "required" and isinstance(merged.get(name), list):
                merged[name] = [*merged[name], *value]
            else:
                merged[name] = value
    return merged
