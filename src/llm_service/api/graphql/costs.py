"""What fields cost, and how long lists are taken to be; docs/graphql.md shows the same tables."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from llm_service.api.graphql.pages import MOST_ON_A_PAGE, PAGE

OBJECT: Final = 1
"""Of a field that has fields. What has none costs nothing."""
COSTS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "Query.generation": 10,
        "Query.generations": 10,
        "Query.usage": 50,
        "Query.cache": 50,
        "Query.health": 10,
        "Query.limits": 20,
        "Query.keys": 10,
        "Query.__schema": 2000,
        "Query.__type": 100,
        "Mutation.chat": 100,
        "Mutation.embed": 100,
        "Mutation.cancel": 10,
        "Mutation.createKey": 20,
        "Mutation.updateKey": 20,
        "Mutation.rotateKey": 20,
        "Mutation.revokeKey": 20,
        "Mutation.purgeCache": 100,
        "Subscription.chatStream": 100,
    }
)
"""Of fields that cost more than others."""
LENGTHS: Final[Mapping[str, int]] = MappingProxyType(
    {"Query.models": 500, "Provider.models": 500, "Query.providers": 5, "Health.providers": 5, "Query.limits": 50}
)
"""How long lists without pages are taken to be. Every other one counts as one item: it is short, or its page counts."""


def cost_of(path: str, *, has_fields: bool) -> int:
    """Of one field, ``Type.name``, without what is below it."""
    return COSTS.get(path, OBJECT if has_fields else 0)


def length_of(path: str, *, paged: bool, first: object) -> int:
    """How many items are below a field. ``first``: as the document gives it, ``None`` where it does not."""
    if paged:
        return min(max(first, 0), MOST_ON_A_PAGE) if isinstance(first, int) else PAGE
    return LENGTHS.get(path, 1)
