"""What fields cost, and how long lists are taken to be; docs/graphql.md shows the same tables."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from llm_service.api.graphql.pages import MOST_ON_A_PAGE, PAGE

TENTHS: Final = 10
"""Costs are told in whole numbers, and reckoned in tenths."""
OBJECT: Final = 1
"""Of a field that has fields."""
LEAF_TENTHS: Final = 1
"""Of a field that has none: 1,000 of them take 8 ms."""
ITEM_TENTHS: Final = 2
"""Of each item of a list, besides its fields."""
COSTS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "Query.generation": 10,
        "Query.generations": 10,
        "Query.usage": 50,
        "Query.cache": 50,
        "Query.health": 10,
        "Query.limits": 20,
        "Query.keys": 10,
        "Query.explain": 50,
        "Query.alerts": 20,
        "Query.alertHistory": 10,
        "Query.auditLog": 10,
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
        "Mutation.setProviderEnabled": 20,
        "Mutation.drainProvider": 20,
        "Subscription.chatStream": 100,
        "Subscription.events": 50,
        "Subscription.metrics": 50,
    }
)
"""Of fields that cost more than others."""
LENGTHS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "Query.models": 500,
        "Provider.models": 500,
        "Query.providers": 5,
        "Health.providers": 5,
        "Query.limits": 50,
        "Query.alerts": 10,
    }
)
"""How long lists without pages are taken to be. Every other one counts as one item: it is short, or its page counts."""


def tenths_of(path: str, *, has_fields: bool) -> int:
    """Of one field, ``Type.name``, without what is below it."""
    if path in COSTS:
        return COSTS[path] * TENTHS
    return OBJECT * TENTHS if has_fields else LEAF_TENTHS


def tenths_below(path: str, below: int, *, paged: bool, first: object) -> int:
    """Of what is below a field: once, or for each item. ``first``: as the document gives it, ``None`` without."""
    if paged:
        return _page_of(first) * (ITEM_TENTHS + below)
    return LENGTHS[path] * (ITEM_TENTHS + below) if path in LENGTHS else below


def _page_of(first: object) -> int:
    """How many items a page is taken to have: what is no number is refused later, and is the most here."""
    if first is None:
        return PAGE
    if isinstance(first, int) or (isinstance(first, float) and first.is_integer()):  # GraphQL takes 7.0 for 7
        return min(max(int(first), 0), MOST_ON_A_PAGE)
    return MOST_ON_A_PAGE
