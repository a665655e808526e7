"""Calendar periods of budgets, in UTC."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from llm_service.domain.limits import BudgetPeriod


class Span(NamedTuple):
    """One period: its name, its first moment, and the first one after it (``None`` both for ``total``)."""

    name: str
    since: datetime | None
    until: datetime | None


def span_at(period: BudgetPeriod, moment: datetime) -> Span:
    """The period that a moment (aware, UTC) lies in; weeks begin on Monday (ISO 8601)."""
    hour = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    day = hour.replace(hour=0)
    match period:
        case "hour":
            return Span(f"{hour:%Y-%m-%dT%H}", hour, hour + timedelta(hours=1))
        case "day":
            return Span(f"{day:%Y-%m-%d}", day, day + timedelta(days=1))
        case "week":
            monday = day - timedelta(days=day.weekday())
            return Span(f"{monday:%G-W%V}", monday, monday + timedelta(days=7))
        case "month":
            first = day.replace(day=1)
            return Span(f"{first:%Y-%m}", first, (first + timedelta(days=32)).replace(day=1))
        case "total":
            return Span("total", None, None)
