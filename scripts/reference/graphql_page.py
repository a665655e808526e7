"""docs/reference/graphql.md: the schema of GraphQL with the scopes of its fields, for reading."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    Undefined,
    get_named_type,
    is_introspection_type,
    is_specified_scalar_type,
)
from graphql.language import print_ast
from graphql.utilities import ast_from_value
from scripts.reference.tables import one_of, page, table, without_empty_columns

from llm_service.api.graphql.access import ACCESS

ROOTS: Final = {"Query": "Queries", "Mutation": "Mutations", "Subscription": "Subscriptions"}
KINDS: Final = {
    "Objects": GraphQLObjectType,
    "Interfaces": GraphQLInterfaceType,
    "Inputs": GraphQLInputObjectType,
    "Enumerations": GraphQLEnumType,
    "Scalars": GraphQLScalarType,
}
ABOUT: Final = """\
The schema, for reading; [schema.graphql](../schema.graphql) is the same for programs, and [graphql.md](../graphql.md)
tells of transports, errors and limits. A key needs one of the scopes of a field. What has a `!` is never null."""


def text(schema: GraphQLSchema) -> str:
    return page("GraphQL schema", ABOUT, _parts(schema))


def _parts(schema: GraphQLSchema) -> Iterator[str]:
    for name, title in ROOTS.items():
        yield f"## {title}"
        yield from _fields(schema.type_map[name])
    for title, kind in KINDS.items():
        yield f"## {title}"
        for name, one in sorted(schema.type_map.items()):
            if isinstance(one, kind) and name not in ROOTS and not _of_graphql_itself(one):
                yield f"### {name}"
                yield one.description or ""
                yield from _fields(one)


def _of_graphql_itself(one: GraphQLNamedType) -> bool:
    return is_introspection_type(one) or is_specified_scalar_type(one)


def _fields(one: GraphQLNamedType) -> Iterator[str]:
    if isinstance(one, GraphQLEnumType):
        rows = [(f"`{name}`", value.description or "") for name, value in one.values.items()]
        yield table(*_split(without_empty_columns(["value", "meaning"], rows)))
    elif isinstance(one, GraphQLInputObjectType | GraphQLInterfaceType | GraphQLObjectType):
        fields: Mapping[str, Any] = one.fields
        described = [_row(one.name, name, field) for name, field in fields.items()]
        yield table(*_split(without_empty_columns(["field", "type", "scopes", "meaning"], described)))


def _row(owner: str, name: str, field: Any) -> tuple[str, str, str, str]:
    scopes = one_of(ACCESS.get(f"{owner}.{name}", ()))
    arguments = ", ".join(f"`{_argument(each, one)}`" for each, one in getattr(field, "args", {}).items())
    said = [field.description or "", f"Takes {arguments}." if arguments else "", _default(field)]
    return f"`{name}`", _type(field), scopes, " ".join(part for part in said if part)


def _argument(name: str, argument: GraphQLArgument) -> str:
    return f"{name}: {argument.type}"


def _default(field: Any) -> str:
    value = getattr(field, "default_value", Undefined)  # fields of objects have none
    node = None if value in (None, Undefined) else ast_from_value(value, field.type)
    return "" if node is None else f"Unless given: `{print_ast(node)}`."


def _type(field: Any) -> str:
    named = get_named_type(field.type)
    spelled = str(field.type)
    return f"`{spelled}`" if is_specified_scalar_type(named) else f"[`{spelled}`](#{named.name.lower()})"


def _split(lines: Iterator[list[str]]) -> tuple[list[str], list[list[str]]]:
    head, *rows = lines
    return head, rows
