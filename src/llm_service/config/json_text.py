"""Reads JSON into nodes, for maps and lists that stand in a variable."""

import json
from typing import Any

from llm_service.config.mistake import Place, shown_name
from llm_service.config.node import Entry, Fields, Items, Node, Scalar

MAX_DEPTH = 50


class NotJson(Exception):
    """The text is no JSON, or names something twice; the message is the end of a sentence."""


def read_json(text: str, place: Place) -> Node:
    """The JSON text as nodes, all at the one place. Raises NotJson; its message shows nothing of the text but names."""
    try:
        return _node(json.loads(text, object_pairs_hook=_pairs, parse_int=str, parse_float=str), place, depth=0)
    except json.JSONDecodeError as error:
        raise NotJson(f"it is no JSON at character {error.pos + 1}") from None
    except RecursionError:
        raise NotJson("it is nested too deeply") from None


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise NotJson(f"{shown_name(name)} is given twice")
        found[name] = value
    return found


def _node(value: Any, place: Place, *, depth: int) -> Node:
    if depth == MAX_DEPTH:
        raise NotJson("it is nested too deeply")
    match value:
        case dict():
            below = {name: Entry(place, _node(inner, place, depth=depth + 1)) for name, inner in value.items()}
            return Fields(below, place)
        case list():
            return Items(tuple(_node(inner, place, depth=depth + 1) for inner in value), place)
        case None:
            return Scalar("", place, is_null=True)
        case bool():
            return Scalar(str(value).lower(), place)
        case _:
            return Scalar(str(value), place)
