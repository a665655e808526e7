"""Values that GraphQL has no word for: moments, money, large numbers, JSON."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any, Final, NewType

import strawberry
from graphql import GraphQLError
from strawberry.types.scalar import ScalarDefinition

from llm_service.domain import InvalidValue
from llm_service.services import read_moment

Json = NewType("Json", object)
Usd = NewType("Usd", str)
Count = NewType("Count", int)
Moment = NewType("Moment", datetime)

MOST_COUNT: Final = 2**53 - 1


def _moment(value: Any) -> datetime:
    try:
        return read_moment("value", value)
    except InvalidValue:
        raise GraphQLError("A DateTime is text as in RFC 3339, such as 2030-01-31T12:00:00Z.") from None


def _moment_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _usd(value: Any) -> str:
    try:
        if isinstance(value, str) and Decimal(value).is_finite():
            return value
    except InvalidOperation:
        pass  # said below
    raise GraphQLError('Money is a decimal number as text, such as "12.50".')


def _count(value: Any) -> int:
    if type(value) is not int or abs(value) > MOST_COUNT:
        raise GraphQLError("A BigInt is a whole number of at most 53 bits.")
    return value


def _same(value: Any) -> Any:
    return value


SCALARS: Final[Mapping[object, ScalarDefinition]] = MappingProxyType(
    {
        Moment: strawberry.scalar(
            name="DateTime",
            description="A moment as RFC 3339 has it, in UTC: `2030-01-31T12:00:00Z`.",
            specified_by_url="https://scalars.graphql.org/andimarek/date-time",
            serialize=_moment_text,
            parse_value=_moment,
        ),
        Usd: strawberry.scalar(
            name="USD",
            description='Exact money in US dollars, as a decimal number in a text: `"0.000125"`.',
            serialize=_same,
            parse_value=_usd,
        ),
        Count: strawberry.scalar(
            name="BigInt",
            description="A whole number of up to 53 bits, for counts that outgrow `Int`.",
            serialize=_same,
            parse_value=_count,
        ),
        Json: strawberry.scalar(
            name="JSON",
            description="Any JSON value.",
            specified_by_url="https://www.rfc-editor.org/rfc/rfc8259",
            serialize=_same,
            parse_value=_same,
        ),
    }
)
"""The scalars of the schema by the types that stand for them here."""
