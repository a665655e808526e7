"""How long an upstream asks us to wait, in the many ways in which it says so."""

import math
import re
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

from llm_service.providers.complaints import Complaint

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)s")
_EPOCH_MS: Final = 10_000_000_000
"""A reset above this is no count of seconds, nor Unix seconds, but Unix milliseconds."""
MAX_WAIT_S: Final = 31 * 86400.0


def retry_after_s(complaint: Complaint, headers: Mapping[str, str], now_s: float) -> float | None:
    """Seconds to wait, from headers (lower case) or body, the exactest first; ``None`` without a hint.

    ``now_s``: Unix time, for hints that name an instant.
    """
    waits = (wait for wait in _waits(complaint, headers, now_s) if wait is not None)
    return next((min(max(wait, 0.0), MAX_WAIT_S) for wait in waits), None)


def _waits(complaint: Complaint, headers: Mapping[str, str], now_s: float) -> Iterator[float | None]:
    milliseconds = _number(headers.get("retry-after-ms"))
    yield None if milliseconds is None else milliseconds / 1000
    yield _seconds_or_date(headers.get("retry-after"), now_s)
    yield _number(complaint.part("availability").get("retry_after"))
    yield _reset(headers.get("x-ratelimit-reset"), now_s)
    told = complaint.part("metadata").get("headers")
    for name, value in told.items() if isinstance(told, Mapping) else ():
        if str(name).lower() == "retry-after":
            yield _seconds_or_date(value, now_s)
        elif str(name).lower() == "x-ratelimit-reset":
            yield _reset(value, now_s)
    yield _retry_delay(complaint.detail.get("details"))


def _retry_delay(details: object) -> float | None:
    """Gemini's ``retryDelay: "17s"``."""
    for detail in details if isinstance(details, list) else ():
        told = detail.get("retryDelay") if isinstance(detail, Mapping) else None
        if isinstance(told, str) and (found := _DURATION.fullmatch(told)):
            return float(found[1])
    return None


def _seconds_or_date(value: Any, now_s: float) -> float | None:
    seconds = _number(value)
    if seconds is not None or not isinstance(value, str):
        return seconds
    try:
        return parsedate_to_datetime(value).timestamp() - now_s
    except (ValueError, OverflowError):
        return None


def _reset(value: Any, now_s: float) -> float | None:
    """OpenRouter's reset, an instant in milliseconds; others' numbers, and instants gone by, are left alone."""
    instant = _number(value)
    if instant is None or instant <= max(_EPOCH_MS, now_s * 1000):
        return None
    return instant / 1000 - now_s


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number >= 0 else None
