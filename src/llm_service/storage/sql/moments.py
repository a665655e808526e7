"""Moments as the stores keep them: whole microseconds since 1970, UTC; exact both ways."""

from datetime import UTC, datetime, timedelta
from typing import Final

HOUR: Final = 3_600_000_000
DAY: Final = 24 * HOUR

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def micros(moment: datetime) -> int:
    """Of an aware moment."""
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def moment(micros: int) -> datetime:
    """Aware UTC."""
    return _EPOCH + timedelta(microseconds=micros)


def micros_or_none(moment: datetime | None) -> int | None:
    return None if moment is None else micros(moment)


def moment_or_none(micros: int | None) -> datetime | None:
    return None if micros is None else moment(micros)
