"""Inputs made of what a client sent by a plan for each type: the library would look up the types of every value anew.

A conversation of 500 messages kept the event loop for 27 ms that way.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING
from typing import Any, Final, NamedTuple

from graphql import GraphQLInputObjectType, GraphQLSchema
from strawberry.schema.name_converter import NameConverter
from strawberry.types.arguments import InputContext
from strawberry.types.base import (
    StrawberryList,
    StrawberryMaybe,
    StrawberryObjectDefinition,
    StrawberryOptional,
    has_object_definition,
)

DEFINITION: Final = "strawberry-definition"
"""Under which graphql-core's types know those of the library."""
Make = Callable[[Any], object]
"""From a value that graphql-core has checked, and that is neither null nor absent, to what a resolver gets."""


class _Field(NamedTuple):
    """``make``: None where the value stays as it is."""

    name: str
    python_name: str
    make: Make | None


class InputPlan:
    """Makes the inputs of one type, as the library does where it is not told otherwise."""

    __slots__ = ("_absent", "_fields", "_origin")

    def __init__(self, origin: Callable[..., object]) -> None:
        self._origin = origin
        self._fields: tuple[_Field, ...] = ()
        self._absent: Mapping[str, None] = {}

    def learn(self, definition: StrawberryObjectDefinition, names: NameConverter, plans: "Plans") -> None:
        """The fields, once all types have their plans: one may be a field of itself."""
        self._fields = tuple(
            _Field(
                names.from_field(field),
                field.python_name,
                _make_of(field.resolve_type(type_definition=definition), plans),
            )
            for field in definition.fields
        )
        required = (one for one in definition.fields if one.default_value is one.default_factory is MISSING)
        self._absent = {field.python_name: None for field in required}

    def make(self, value: Mapping[str, Any]) -> object:
        """One input."""
        given: dict[str, object] = {**self._absent}
        for name, python_name, make in self._fields:
            if name in value:
                one = value[name]
                given[python_name] = one if make is None or one is None else make(one)
        return self._origin(**given)

    def from_input(self, _: type, value: Mapping[str, Any], __: InputContext) -> object:
        """The same, as the library asks for it."""
        return self.make(value)


Plans = Mapping[Any, InputPlan]
"""By the class of the inputs."""


def plan_inputs(schema: GraphQLSchema, names: NameConverter) -> None:
    """Make a plan for each input type, which its definition goes by from then on.

    A reload does so in a thread, while operations of the schema before it go on, which has the same definitions: none
    may meet a plan that has not learned its fields.
    """
    definitions = tuple(_definitions(schema))
    plans = {definition.origin: InputPlan(definition.origin) for definition in definitions}
    for definition in definitions:
        plans[definition.origin].learn(definition, names, plans)
    for definition in definitions:
        definition.from_input = plans[definition.origin].from_input


def _definitions(schema: GraphQLSchema) -> Iterator[StrawberryObjectDefinition]:
    for kind in schema.type_map.values():
        if isinstance(kind, GraphQLInputObjectType):
            yield kind.extensions[DEFINITION]


def _make_of(kind: Any, plans: Plans) -> Make | None:
    if isinstance(kind, StrawberryMaybe):
        raise TypeError("no plan is known for inputs that may be absent in two ways")
    if isinstance(kind, StrawberryOptional):
        return _make_of(kind.of_type, plans)
    if isinstance(kind, StrawberryList):
        make = _make_of(kind.of_type, plans)
        return list if make is None else lambda values: [None if one is None else make(one) for one in values]
    return plans[kind].make if has_object_definition(kind) else None
