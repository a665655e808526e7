"""Calendar periods: every moment lies in exactly one, and periods follow each other without a gap."""

from datetime import UTC, datetime, timedelta, timezone
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.domain import BudgetPeriod, span_at

CALENDAR = [period for period in get_args(BudgetPeriod) if period != "total"]
MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2032, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("period", "name", "since", "until"),
    [
        ("hour", "2026-12-31T23", datetime(2026, 12, 31, 23, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
        ("day", "2026-12-31", datetime(2026, 12, 31, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
        ("week", "2026-W53", datetime(2026, 12, 28, tzinfo=UTC), datetime(2027, 1, 4, tzinfo=UTC)),
        ("month", "2026-12", datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
        ("total", "total", None, None),
    ],
)
def test_the_last_hour_of_a_year(
    period: BudgetPeriod, name: str, since: datetime | None, until: datetime | None
) -> None:
    assert span_at(period, datetime(2026, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == (name, since, until)


@given(moment=MOMENTS, period=st.sampled_from(CALENDAR))
def test_a_moment_lies_in_its_period_and_the_next_one_begins_at_its_end(moment: datetime, period: BudgetPeriod) -> None:
    span = span_at(period, moment)
    assert span.since is not None
    assert span.until is not None
    assert span.since <= moment < span.until
    assert span_at(period, span.since) == span
    assert span_at(period, span.until).since == span.until
    assert span_at(period, span.until).name != span.name


def test_periods_are_utc_wherever_the_moment_was_read() -> None:
    there = timezone(timedelta(hours=9))
    assert span_at("day", datetime(2026, 11, 26, 5, tzinfo=there)).name == "2026-11-25"
