"""Who may ask for which field: one table, which the schema is held to when it is built."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from graphql import GraphQLField, GraphQLObjectType, GraphQLSchema

from llm_service.domain import Scope, require_scope

ANY: Final[tuple[Scope, ...]] = ("inference", "read", "admin")
READS: Final[tuple[Scope, ...]] = ("read", "admin")

ACCESS: Final[Mapping[str, tuple[Scope, ...]]] = MappingProxyType(
    {
        "Query.models": ("inference",),
        "Query.model": ("inference",),
        "Query.providers": ANY,
        "Query.provider": ANY,
        "Query.health": ANY,
        "Query.me": ANY,
        "Query.generation": ANY,
        "Query.generations": READS,
        "Query.usage": READS,
        "Query.cache": READS,
        "Query.limits": ("admin",),
        "Query.keys": ("admin",),
        "Query.explain": ("inference",),
        "Query.alerts": READS,
        "Query.alertHistory": READS,
        "Mutation.chat": ("inference",),
        "Mutation.embed": ("inference",),
        "Mutation.cancel": ("inference",),
        "Mutation.createKey": ("admin",),
        "Mutation.updateKey": ("admin",),
        "Mutation.rotateKey": ("admin",),
        "Mutation.revokeKey": ("admin",),
        "Mutation.purgeCache": ("admin",),
        "Mutation.setProviderEnabled": ("admin",),
        "Mutation.drainProvider": ("admin",),
        "Subscription.chatStream": ("inference",),
        "Subscription.events": READS,
        "Subscription.metrics": READS,
        "ApiKey.usage": READS,
        "Generation.key": ("admin",),
        "Provider.models": ("inference",),
    }
)
"""Of the scopes one is enough. Every field of the roots stands here, and every other one that asks a service."""


def guard(schema: GraphQLSchema) -> None:
    """Have each field of the table check its caller. Raises KeyError for a root field that the table does not have."""
    for root in (schema.query_type, schema.mutation_type, schema.subscription_type):
        for name in () if root is None else root.fields:
            if f"{root}.{name}" not in ACCESS:
                raise KeyError(f"{root}.{name} has no scopes in the table")
    for path, scopes in ACCESS.items():
        owner, _, name = path.partition(".")
        of_type = schema.type_map[owner]
        if not isinstance(of_type, GraphQLObjectType):
            raise TypeError(f"{owner} is no type with fields")
        _guard(of_type.fields[name], scopes)


def _guard(field: GraphQLField, scopes: tuple[Scope, ...]) -> None:
    def checked(resolve: Any) -> Any:
        def resolved(source: Any, info: Any, **arguments: Any) -> Any:
            require_scope(info.context.caller, *scopes)
            return resolve(source, info, **arguments)

        return resolved

    if field.subscribe is not None:  # what it yields was allowed with it
        field.subscribe = checked(field.subscribe)
    else:
        field.resolve = checked(field.resolve)
