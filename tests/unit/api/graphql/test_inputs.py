"""Inputs by plan are the library's own, for every input type and whatever is given, left out or null."""

from collections.abc import Callable
from typing import Any

import pytest
import strawberry
from graphql import (
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    is_required_input_field,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from strawberry.schema.config import StrawberryConfig
from strawberry.types.arguments import convert_argument
from strawberry.types.base import StrawberryObjectDefinition

from llm_service.api.graphql.inputs import DEFINITION, InputPlan, plan_inputs
from llm_service.api.graphql.scalars import SCALARS
from llm_service.api.graphql.schema import build_schema, core_of

Convert = Callable[[Any, type], object]


@strawberry.input
class TreeInput:
    """What no input of ours has: null that is no default, null in a list of inputs, a type within itself."""

    name: str | None
    only: "TreeInput | None" = strawberry.UNSET
    below: list["TreeInput | None"] | None = None
    leaves: list[list[str]] | None = None


@strawberry.type
class Trees:
    @strawberry.field
    def name(self, tree: TreeInput) -> str:
        return tree.name or ""


SCHEMA = build_schema()
TREES = core_of(strawberry.Schema(Trees))
plan_inputs(TREES, StrawberryConfig().name_converter)
INPUTS = {
    kind.name: kind
    for kind in (*core_of(SCHEMA).type_map.values(), *TREES.type_map.values())
    if isinstance(kind, GraphQLInputObjectType)
}
CONFIG = StrawberryConfig(scalar_map=SCALARS)


def definition_of(kind: GraphQLInputObjectType) -> StrawberryObjectDefinition:
    found: StrawberryObjectDefinition = kind.extensions[DEFINITION]
    return found


def values(kind: GraphQLInputType) -> st.SearchStrategy[Any]:
    """What graphql-core makes of variables of this type: scalars and enumerations are anything by then."""
    if isinstance(kind, GraphQLNonNull):
        return some(kind.of_type)
    return st.none() | some(kind)


def some(kind: Any) -> st.SearchStrategy[Any]:
    if isinstance(kind, GraphQLList):
        return st.lists(values(kind.of_type), max_size=3)
    if isinstance(kind, GraphQLInputObjectType):
        return st.deferred(lambda: objects(kind))
    return st.integers() | st.text(max_size=3) | st.lists(st.none(), max_size=1)


def objects(kind: GraphQLInputObjectType) -> st.SearchStrategy[Any]:
    required = {name: values(field.type) for name, field in kind.fields.items() if is_required_input_field(field)}
    others = {name: values(field.type) for name, field in kind.fields.items() if name not in required}
    return st.fixed_dictionaries(required, optional=others)


@pytest.fixture
def by_the_library(monkeypatch: pytest.MonkeyPatch) -> Convert:
    registry = SCHEMA.schema_converter.scalar_registry

    def convert(value: Any, kind: type) -> object:
        with monkeypatch.context() as patched:
            for one in INPUTS.values():
                patched.setattr(definition_of(one), "from_input", None)
            return convert_argument(value, kind, registry, CONFIG)

    return convert


@pytest.mark.parametrize("name", sorted(INPUTS))
def test_a_plan_makes_what_the_library_makes(name: str, by_the_library: Convert) -> None:
    definition = definition_of(INPUTS[name])

    @settings(max_examples=40)
    @given(some(INPUTS[name]))
    def holds(value: Any) -> None:
        from_input = definition.from_input
        assert from_input is not None
        made = from_input(definition.origin, value, None)  # type: ignore[arg-type] - plans need no context
        assert type(made) is definition.origin
        assert made == by_the_library(value, definition.origin)

    holds()


def test_lists_are_copied_since_defaults_are_shared() -> None:
    chat = definition_of(INPUTS["ChatInput"])
    stop = ["."]
    assert chat.from_input is not None
    made: Any = chat.from_input(chat.origin, {"model": "m", "messages": [], "stop": stop}, None)  # type: ignore[arg-type]
    assert made.stop == stop
    assert made.stop is not stop


def test_while_a_schema_is_built_anew_no_operation_meets_a_plan_without_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    """The schema before it, which still serves, has the same definitions."""
    before = {name: definition_of(kind).from_input for name, kind in INPUTS.items()}
    learn = InputPlan.learn

    def learn_watched(plan: InputPlan, *known: Any) -> None:
        assert {name: definition_of(kind).from_input for name, kind in INPUTS.items()} == before
        learn(plan, *known)

    monkeypatch.setattr(InputPlan, "learn", learn_watched)
    build_schema()
    after = {name: definition_of(kind).from_input for name, kind in INPUTS.items() if name != "TreeInput"}
    assert not after.items() & before.items()
