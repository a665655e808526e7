"""Single values as LiteLLM reads them: references to variables, switches, numbers, spans of time."""

import re
from decimal import Decimal, InvalidOperation
from typing import Final

from llm_service.domain import BudgetPeriod
from llm_service.migration.source import Found

_REFERENCE: Final = re.compile(r"os\.environ/(.+)|\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
# PyYAML reads YAML 1.1, where these are switches too.
_TRUE: Final = frozenset(("true", "yes", "on", "y", "1"))
_FALSE: Final = frozenset(("false", "no", "off", "n", "0"))
_MOST_PLACES: Final = 30
"""Of a number, before or behind its point: more is nothing that anybody sets, and writes out as megabytes of zeros."""
_SPAN: Final = re.compile(r"(\d+)(s|mo|m|h|d|w)")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_PERIODS: Final[dict[str, BudgetPeriod]] = {
    "1h": "hour",
    "60m": "hour",
    "1d": "day",
    "24h": "day",
    "1w": "week",
    "7d": "week",
    "1mo": "month",
    "30d": "month",
    "31d": "month",
}


def variable_of(text: str) -> str | None:
    """The variable that stands for the whole value (``os.environ/NAME``, or ``${NAME}`` of a template)."""
    found = _REFERENCE.fullmatch(text.strip())
    return None if found is None else found[1] or found[2]


def flag(found: Found | None) -> bool | None:
    """A switch; None where it is none."""
    text = ("" if found is None else found.text() or "").lower()
    return True if text in _TRUE else False if text in _FALSE else None


def number(found: Found | None) -> Decimal | None:
    """A finite number of some size; None where it is none."""
    try:
        value = Decimal("" if found is None else (found.text() or "").strip())
    except InvalidOperation:
        return None
    return value if value.is_finite() and abs(value.adjusted()) <= _MOST_PLACES else None


def whole(found: Found | None) -> int | None:
    """A number without a fraction; None where it is none."""
    value = number(found)
    return None if value is None or value != value.to_integral_value() else int(value)


def seconds(found: Found) -> Decimal | None:
    """A number of seconds, or a span such as ``30s``, ``10m``, ``24h`` or ``7d``; None where it is neither."""
    if (value := number(found)) is not None:
        return value
    span = _SPAN.fullmatch((found.text() or "").strip())
    return Decimal(int(span[1]) * _SECONDS[span[2]]) if span and span[2] in _SECONDS else None


def period(found: Found | None) -> BudgetPeriod | None:
    """The calendar period that a budget's duration comes to; without one it never begins anew."""
    return "total" if found is None else _PERIODS.get((found.text() or "").strip())
