"""What a source gives, before anybody knows what it means: texts, lists and maps, each with its place."""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from llm_service.config.mistake import Place
from llm_service.domain import fact_in_order


@fact_in_order
class Scalar:
    """A text as it is written; numbers and switches too, so that nothing is lost before the type is known."""

    text: str
    place: Place
    is_null: bool = False


@fact_in_order
class Items:
    """A list."""

    items: tuple["Node", ...]
    place: Place


@fact_in_order
class Entry:
    """One line of a map; the place is that of the key."""

    place: Place
    value: "Node"


@fact_in_order
class Fields:
    """A map."""

    entries: Mapping[str, Entry]
    place: Place


Node: TypeAlias = Scalar | Items | Fields


def is_null(node: Node) -> bool:
    """Null means: not given."""
    return isinstance(node, Scalar) and node.is_null


def nest(keys: Iterable[str], value: Node) -> Node:
    """The value under a path of keys, all at the value's own place."""
    for key in reversed(tuple(keys)):
        value = Fields({key: Entry(value.place, value)}, value.place)
    return value


def overlay(lower: Node, upper: Node) -> Node:
    """Both sources as one: maps are joined all the way down, of anything else the upper wins unless it is null."""
    if is_null(upper):
        return lower
    if not (isinstance(lower, Fields) and isinstance(upper, Fields)):
        return upper
    joined = dict(lower.entries)
    for key, entry in upper.entries.items():
        below = joined.get(key)
        joined[key] = Entry(entry.place, overlay(below.value, entry.value)) if below else entry
    return Fields(joined, upper.place)
