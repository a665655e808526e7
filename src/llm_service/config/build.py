"""Turns nodes into options objects by the shapes of their classes, and collects what is wrong on the way."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from llm_service.config.expand import NotExpandable, expand
from llm_service.config.later import is_later, suggestion
from llm_service.config.leaf import BadValue, parse
from llm_service.config.mistake import Mistake, Place, shown, shown_name
from llm_service.config.node import Fields, Items, Node, Scalar, is_null
from llm_service.config.shape import Group, Leaf, ListOf, MapOf, Shape
from llm_service.domain import Rule, fact_in_order


class _Nothing:
    """No value: not given, or given wrongly and reported."""


NOTHING: Final = _Nothing()


@fact_in_order
class At:
    """Where in the tree: as messages show it, and part by part as `shape.walk` gives it."""

    path: str = ""
    parts: tuple[str, ...] = ()

    def field(self, name: str) -> "At":
        dot = "." if self.path else ""
        return At(f"{self.path}{dot}{shown_name(name)}", (*self.parts, name))

    def key(self, name: str) -> "At":
        return At(f"{self.path}.{name}", (*self.parts, "*"))

    def index(self, number: int) -> "At":
        return At(f"{self.path}[{number}]", (*self.parts[:-1], f"{self.parts[-1]}[]"))


@dataclass(slots=True)
class Builder:
    """One pass over the nodes. What is wrong becomes a mistake, and the pass goes on with what is right."""

    environ: Mapping[str, str]
    mistakes: list[Mistake] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)
    """Where each path was given."""
    leaves: list[str] = field(default_factory=list)
    """The paths of single values among them."""
    faulty: set[str] = field(default_factory=set)
    """Paths with a mistake: what follows from them is no further mistake."""
    emptied: set[str] = field(default_factory=set)
    """Paths whose references are empty by default: given, as nothing."""

    def build(self, shape: Shape, node: Node, at: At) -> Any:
        """The value of a node that is not null, or NOTHING."""
        self.places[at.path] = node.place
        match shape:
            case Leaf():
                return self._leaf(shape, node, at)
            case ListOf():
                return self._list(shape, node, at)
            case MapOf():
                return self._map(shape, node, at)
            case Group():
                return self._group(shape, node, at)

    def _refuse(self, at: At, message: str, place: Place) -> _Nothing:
        self.faulty.add(at.path)
        self.mistakes.append(Mistake.at(place, message))
        return NOTHING

    def _leaf(self, leaf: Leaf, node: Node, at: At) -> Any:
        self.leaves.append(at.path)
        if not isinstance(node, Scalar):
            return self._refuse(at, f"{at.path} must be a single value", node.place)
        try:
            text = expand(node, self.environ)
            if text is not None:
                return parse(leaf, text, folder=node.place.source.folder, home=self.environ.get("HOME"))
        except (BadValue, NotExpandable) as problem:
            return self._refuse(at, f"{at.path} {problem}", node.place)
        self.emptied.add(at.path)
        return NOTHING

    def _list(self, shape: ListOf, node: Node, at: At) -> Any:
        if shape.or_single and isinstance(node, Scalar):
            value = self.build(shape.item, node, at)
            return value if value is NOTHING else (value,)
        if not isinstance(node, Items):
            return self._refuse(at, f"{at.path} must be a list", node.place)
        values = tuple(self._item(shape.item, item, at.index(number)) for number, item in enumerate(node.items))
        kept = tuple(value for value in values if value is not NOTHING)
        return kept if self._follows(shape.rules, values, node, at) else NOTHING

    def _item(self, shape: Shape, node: Node, at: At) -> Any:
        if is_null(node):
            return self._refuse(at, f"{at.path} must not be null", node.place)
        return self.build(shape, node, at)

    def _follows(self, rules: tuple[Rule, ...], value: object, node: Node, at: At) -> bool:
        problems = [problem for rule in rules if (problem := rule.problem(value))]
        for problem in problems:
            self._refuse(at, f"{at.path} {problem}", node.place)
        return not problems

    def _map(self, shape: MapOf, node: Node, at: At) -> Any:
        if not isinstance(node, Fields):
            return self._refuse(at, f"{at.path} must be a map", node.place)
        values: dict[str, Any] = {}
        for name, entry in node.entries.items():
            problem = next(filter(None, (rule.problem(name) for rule in shape.key.rules)), None)
            below = at.key(shown(name) if problem is None else shown_name(name))
            if problem is not None:
                self._refuse(below, f"{below.path}: the name {problem}", entry.place)
            value = self._map_value(shape.value, entry.value, below)
            if value is not NOTHING:
                values[name] = value
        return MappingProxyType(values)

    def _map_value(self, shape: Shape, node: Node, at: At) -> Any:
        if not is_null(node):
            return self.build(shape, node, at)
        # A name with nothing after it is there all the same, with every setting at its default.
        return self.build(shape, Fields({}, node.place), at) if isinstance(shape, Group) else NOTHING

    def _group(self, group: Group, node: Node, at: At) -> Any:
        if not isinstance(node, Fields):
            return self._refuse(at, f"{at.path} must be a map", node.place)
        values: dict[str, Any] = {}
        for name, entry in node.entries.items():
            below = at.field(name)
            if name not in group.settings:
                self._refuse(below, _unknown(below, name=name, known=group.settings), entry.place)
            elif not is_null(entry.value):
                values[name] = self.build(group.settings[name].shape, entry.value, below)
        kept = {name: value for name, value in values.items() if value is not NOTHING}
        missing = [setting.name for setting in group.settings.values() if setting.required and setting.name not in kept]
        for name in missing:
            if at.field(name).path not in self.faulty:
                self._refuse(at.field(name), f"{at.path} needs {name}", node.place)
        return NOTHING if missing else group.options(**{group.settings[name].field: kept[name] for name in kept})


def _unknown(at: At, *, name: str, known: Collection[str]) -> str:
    if is_later(at.parts):
        return f"{at.path} is not available in this version"
    return f"{at.path} is unknown{suggestion(name, known)}"
