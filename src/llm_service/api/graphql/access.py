"""Who may ask for which field: one table, which the schema is held to when it is built."""

import asyncio
from collections.abc import Mapping, Sequence
from inspect import isawaitable
from types import MappingProxyType
from typing import Any, Final

from graphql import GraphQLField, GraphQLObjectType, GraphQLSchema

from llm_service.api.acts import CUT_OFF
from llm_service.api.graphql.provider_types import Provider
from llm_service.domain import LLMServiceError, NotFound, Scope, require_scope
from llm_service.services import STATE_ACTS

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
        "Query.auditLog": ("admin",),
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


ELSEWHERE: Final = "Operators ask for this at a port of their own (server.admin_port)."


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
        field = of_type.fields[name]
        _guard(field, scopes)
        if owner == "Mutation" and "inference" not in scopes:
            field.resolve = _told(path, field.resolve)


def _guard(field: GraphQLField, scopes: tuple[Scope, ...]) -> None:
    for_operators = "inference" not in scopes

    def checked(resolve: Any) -> Any:
        def resolved(source: Any, info: Any, **arguments: Any) -> Any:
            if for_operators and not info.context.for_operators:
                raise NotFound(ELSEWHERE)
            require_scope(info.context.caller, *scopes)
            return resolve(source, info, **arguments)

        return resolved

    if field.subscribe is not None:  # what it yields was allowed with it
        field.subscribe = checked(field.subscribe)
    else:
        field.resolve = checked(field.resolve)


def _told(path: str, resolve: Any) -> Any:
    """The same, told of as what operators do."""

    async def resolved(source: Any, info: Any, **arguments: Any) -> Any:
        try:
            made = resolve(source, info, **arguments)
            made = await made if isawaitable(made) else made
        except LLMServiceError as error:
            _tell(path, info.context, _named(arguments), error=error)
            raise
        except (Exception, asyncio.CancelledError):
            _tell(path, info.context, _named(arguments), error=CUT_OFF)
            raise
        created = getattr(getattr(made, "key", None), "id", None)
        _tell(path, info.context, _named(arguments) or created, fields=_fields(arguments), word=_word(made))
        await info.context.parts.acts.kept()
        return made

    return resolved


def _named(arguments: Mapping[str, Any]) -> Any:
    return arguments.get("id") or arguments.get("name")


def _fields(arguments: Mapping[str, Any]) -> Sequence[str]:
    """The names of what was given, beside what it was done to."""
    return [*(arguments.get("input") or (name for name in arguments if name not in ("id", "name")))]


def _word(made: Any) -> str | None:
    """What was done to a provider; of all else the mutation says it."""
    return STATE_ACTS[made.state.value] if isinstance(made, Provider) else None


def _tell(
    path: str,
    context: Any,
    on: Any,
    *,
    fields: Sequence[str] = (),
    error: LLMServiceError | None = None,
    word: str | None = None,
) -> None:
    context.parts.acts.tell(
        path,
        door="graphql",
        caller=context.caller,
        request_id=context.request_id,
        peer=context.peer,
        on=on,
        fields=fields,
        error=error,
        word=word,
    )
