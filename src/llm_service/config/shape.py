"""What the options classes say about their fields, as a tree that the reader, the JSON Schema and the docs walk."""

import types
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

from llm_service.domain import Called, Confidential, Doc, OrSingle, Reserved, Rule, Secret, fact_in_order

_LEAF_TYPES = (str, int, float, bool, Decimal, Path, Secret)


@fact_in_order
class Leaf:
    """A single value: its Python type, the words it is limited to (if any), and its rules."""

    type: type
    choices: tuple[str, ...] = ()
    reserved: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()


@fact_in_order
class ListOf:
    """A list of values of one shape."""

    item: "Shape"
    rules: tuple[Rule, ...] = ()
    or_single: bool = False
    """A single value may stand for a list of it alone."""


@fact_in_order
class MapOf:
    """A map from names that the operator chooses; `confidential` when the values may hold secrets."""

    key: Leaf
    value: "Shape"
    confidential: bool = False


@fact_in_order
class Group:
    """An options class with its settings by name."""

    options: type
    settings: Mapping[str, "Setting"]

    @property
    def doc(self) -> str:
        return (self.options.__doc__ or "").partition("\n")[0]


Shape: TypeAlias = Leaf | ListOf | MapOf | Group


@fact_in_order
class Setting:
    """One field of an options class: its name in the configuration, and the field's where that is another."""

    name: str
    field: str
    shape: Shape
    doc: str
    required: bool
    default: Any = None

    @property
    def unit(self) -> str:
        """Units live in names."""
        if self.name.endswith("_bytes_per_s"):
            return "bytes per second"
        suffix = self.name.rpartition("_")[2]
        return {"s": "seconds", "days": "days", "bytes": "bytes"}.get(suffix, "")


@lru_cache(maxsize=128)
def describe(options: type) -> Group:
    """The tree of settings under an options class, made once: each load and each reload walks it.

    Raises TypeError for a field of a type that no setting can have.
    """
    hints = get_type_hints(options, include_extras=True)
    settings = (_setting(item, hints[item.name]) for item in fields(options))
    return Group(options, {setting.name: setting for setting in settings})


def walk(group: Group, path: str = "") -> Iterator[tuple[str, Setting]]:
    """Every setting below, with its path; `*` stands for a name of the operator's, `[]` for the items of a list."""
    for setting in group.settings.values():
        below = f"{path}.{setting.name}" if path else setting.name
        yield below, setting
        shape: Shape = setting.shape
        while isinstance(shape, (ListOf, MapOf)):
            below, shape = (f"{below}[]", shape.item) if isinstance(shape, ListOf) else (f"{below}.*", shape.value)
        if isinstance(shape, Group):
            yield from walk(shape, below)


def _setting(item: "Field[Any]", hint: Any) -> Setting:
    shape, notes = _shape(hint)
    docs = [note.text for note in notes if isinstance(note, Doc)]
    doc = docs[0] if docs else shape.doc if isinstance(shape, Group) else ""
    name = next((note.name for note in notes if isinstance(note, Called)), item.name)
    if item.default_factory is not MISSING:
        return Setting(name, item.name, shape, doc, required=False, default=item.default_factory())
    required = item.default is MISSING
    return Setting(name, item.name, shape, doc, required=required, default=None if required else item.default)


def _shape(hint: Any) -> tuple[Shape, tuple[object, ...]]:
    """The shape that a type hint means, and the notes of its `Annotated`."""
    hint, notes = (hint.__origin__, hint.__metadata__) if get_origin(hint) is Annotated else (hint, ())
    hint = _without_none(hint)
    rules = tuple(note for note in notes if hasattr(note, "problem"))
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in _LEAF_TYPES:
        return Leaf(hint, rules=rules), notes
    if origin is Literal:
        reserved = tuple(note.word for note in notes if isinstance(note, Reserved))
        return Leaf(str, choices=arguments, reserved=reserved, rules=rules), notes
    if origin is tuple and arguments[1:] == (...,):
        return ListOf(_shape(arguments[0])[0], rules, any(isinstance(note, OrSingle) for note in notes)), notes
    if origin is not None and issubclass(origin, Mapping):
        key, value = _shape(arguments[0])[0], _shape(arguments[1])[0]
        if isinstance(key, Leaf):
            return MapOf(key, value, confidential=any(isinstance(note, Confidential) for note in notes)), notes
    if isinstance(hint, type) and is_dataclass(hint):
        return describe(hint), notes
    raise TypeError(f"{hint} cannot be the type of a setting")


def _without_none(hint: Any) -> Any:
    if get_origin(hint) not in (Union, types.UnionType):
        return hint
    kept = [part for part in get_args(hint) if part is not type(None)]
    return kept[0] if len(kept) == 1 else hint
