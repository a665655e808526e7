"""Moments as the interface has them: RFC 3339, in UTC."""

import re
from datetime import UTC, datetime
from typing import Any, Final

from llm_service.domain import InvalidValue

_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def moment_text(moment: datetime | None) -> str | None:
    """A moment as RFC 3339 in UTC."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def read_moment(name: str, value: Any) -> datetime:
    """A moment as RFC 3339 writes it, in UTC. Raises InvalidValue."""
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        try:
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            pass  # a day or an hour that there is not: said below
    said = f"'{name}' must be a moment as RFC 3339 writes it, such as 2030-01-31T12:00:00Z."
    raise InvalidValue(said, param=name)
