"""Values that fit a JSON schema: arguments of tool calls and structured answers.

A schema comes from a client: what is malformed in it counts as absent, and one without an end is cut off.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from llm_service.sandbox.content.dice import Dice
from llm_service.sandbox.content.strings import string_for
from llm_service.sandbox.messages import Json

MAX_DEPTH: Final = 12
MAX_VALUES: Final = 2000
MAX_ITEMS: Final = 100

_DEEP: Final = 6  # from here on only what is required
_SPAN: Final = 100  # between the bounds of a number that has only one, or none


def value_for(schema: Json, dice: Dice, words: Sequence[str] = ()) -> Any:
    """A value that the schema accepts; `words` are used for free strings, in their order."""
    return _Maker(schema, dice, words).make(schema, 0)


class _Maker:
    """One pass over one schema; knows its root, for references."""

    def __init__(self, root: Json, dice: Dice, words: Sequence[str]) -> None:
        self._root = root
        self._dice = dice
        self._words = list(words)
        self._values_left = MAX_VALUES

    def make(self, schema: object, depth: int) -> Any:
        self._values_left -= 1
        schema = self._resolved(schema, depth)
        if "const" in schema:
            return schema["const"]
        if choices := _list(schema, "enum"):
            return self._dice.pick(choices)
        kind = self._kind(schema, depth)
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, depth)
        if kind in ("integer", "number"):
            return self._number(schema, whole=kind == "integer")
        if kind == "boolean":
            return self._dice.below(2) == 1
        return None if kind == "null" else string_for(schema, self._dice, self._words)

    def _resolved(self, schema: object, depth: int) -> Json:
        """Follow a reference, take one branch of a choice, merge what must hold together."""
        made: Json = schema if isinstance(schema, dict) else {}
        for _ in range(MAX_DEPTH):
            if "$ref" in made:
                made = {**self._referenced(str(made["$ref"])), **_without(made, "$ref")}
            elif branches := _list(made, "anyOf") or _list(made, "oneOf"):
                made = _merged([_without(made, "anyOf", "oneOf"), self._branch(branches, depth)])
            elif parts := _list(made, "allOf"):
                inner = [self._resolved(part, depth + 1) for part in parts] if depth < MAX_DEPTH else []
                made = _merged([_without(made, "allOf"), *inner])
            else:
                return made
        return {}

    def _branch(self, branches: list[Any], depth: int) -> Json:
        usable: list[Json] = [branch for branch in branches if isinstance(branch, dict)] or [{}]
        if depth < _DEEP:
            return self._dice.pick(usable)
        return min(usable, key=lambda branch: "$ref" in branch or branch.get("type") in ("object", "array"))

    def _referenced(self, pointer: str) -> Json:
        target: Any = self._root
        for part in pointer.removeprefix("#").strip("/").split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            if name:
                target = target.get(name) if isinstance(target, dict) else None
        return target if isinstance(target, dict) else {}

    def _kind(self, schema: Json, depth: int) -> str:
        kind = schema.get("type")
        if isinstance(kind, str):
            return kind
        if kinds := _list(schema, "type"):
            others = [name for name in kinds if name != "null"]
            return str(self._dice.pick(others)) if others and depth < MAX_DEPTH else str(kinds[-1])
        if depth == 0 or "properties" in schema or "required" in schema:
            return "object"
        return "array" if "items" in schema or "prefixItems" in schema else "string"

    def _is_spent(self, depth: int) -> bool:
        return depth >= MAX_DEPTH or self._values_left <= 0

    def _object(self, schema: Json, depth: int) -> Json:
        if self._is_spent(depth):
            return {}
        known = schema.get("properties")
        properties: Json = known if isinstance(known, dict) else {}
        required = [name for name in _list(schema, "required") if isinstance(name, str)]
        names = [name for name in properties if name in required or (depth < _DEEP and self._dice.below(3))]
        names += [name for name in required if name not in properties]
        return {name: self.make(properties.get(name, {"type": "string"}), depth + 1) for name in names}

    def _array(self, schema: Json, depth: int) -> list[Any]:
        if self._is_spent(depth):
            return []
        fixed, free = _list(schema, "prefixItems"), schema.get("items", {"type": "string"})
        low = min(_count(schema, "minItems", 0), MAX_ITEMS)
        high = max(low, min(_count(schema, "maxItems", low + 3), low + 3, MAX_ITEMS))
        size = low if depth >= _DEEP else self._dice.between(max(low, min(1, high)), high)
        items = [self.make(part, depth + 1) for part in fixed[: max(size, low)]]
        for _ in range(4 * MAX_ITEMS):
            if len(items) >= size or free is False or self._values_left <= 0:
                break
            item = self.make(free, depth + 1)
            if not (schema.get("uniqueItems") and item in items):
                items.append(item)
        return items

    def _number(self, schema: Json, *, whole: bool) -> int | float:
        low, high = _bounds(schema, whole=whole)
        step = _number_in(schema, "multipleOf")
        if step is not None and step > 0:
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
        return (0, _SPAN) if high is None else (min(0, high - _SPAN), high)
    return low, low + _SPAN if high is None else high


def _number_in(schema: Json, name: str, margin: float = 0) -> float | None:
    value = schema.get(name)
    return value + margin if isinstance(value, int | float) and not isinstance(value, bool) else None


def _count(schema: Json, name: str, default: int) -> int:
    value = _number_in(schema, name)
    return default if value is None else max(0, int(value))


def _list(schema: Json, name: str) -> list[Any]:
    value = schema.get(name)
    return value if isinstance(value, list) else []


def _without(schema: Json, *names: str) -> Json:
    return {name: value for name, value in schema.items() if name not in names}


def _as_number(value: float, *, whole: bool) -> int | float:
    return int(value) if whole else round(float(value), 6)


def _merged(parts: list[Json]) -> Json:
    merged: Json = {}
    for part in parts:
        for name, value in part.items():
            before = merged.get(name)
            if name == "properties" and isinstance(before, dict) and isinstance(value, dict):
                merged[name] = {**before, **value}
            elif name == "required" and isinstance(before, list) and isinstance(value, list):
                merged[name] = [*before, *value]
            else:
                merged[name] = value
    return merged
