"""What is asked of the recorded usage, checked, and how records and sums are shown: as plain data for JSON."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Final, get_args

from llm_service.domain import CacheStatus, InvalidValue, OutcomeStatus, Tried, UsageRecord, Verdict, usd_text
from llm_service.services.moments import moment_text, read_moment
from llm_service.storage import UsageFilter, UsageGroup, UsageSum

MOST_CHARS: Final = 512
STATUSES: Final[Sequence[str]] = get_args(OutcomeStatus)
CACHE_STATUSES: Final[Sequence[str]] = get_args(CacheStatus)
GROUPS: Final[Sequence[UsageGroup]] = get_args(UsageGroup)
_GROUP_OF: Final[Mapping[str, UsageGroup]] = MappingProxyType({group: group for group in GROUPS})
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def read_filter(given: Mapping[str, str]) -> UsageFilter:
    """Which records, from texts by name; what is not given lets all through.

    Raises InvalidValue, with the name in ``param``, also for a name that is none: one that was mistyped would let all
    through.
    """
    for name in given:
        if name not in _READ:
            raise unknown_name(name, tuple(_READ))
    which = UsageFilter(**{name: _READ[name](name, text) for name, text in given.items()})
    if which.since is not None and which.until is not None and which.since >= which.until:
        raise InvalidValue("'until' must be later than 'since'.", param="until")
    return which


def read_groups(text: str, *, among: Sequence[UsageGroup] = GROUPS) -> tuple[UsageGroup, ...]:
    """What to group by, from a text such as ``key,model,day``; nothing groups all together.

    Raises InvalidValue for a group that is not ``among`` these.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in among:
            said = f"'by' must be some of {', '.join(among)}, separated by commas; '{name[:64]}' is none of them."
            raise InvalidValue(said, param="by")
    return tuple(dict.fromkeys(_GROUP_OF[name] for name in names))


def unknown_name(name: str, known: Sequence[str]) -> InvalidValue:
    """Why a parameter of this name is refused."""
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(known) or 'none'}."
    return InvalidValue(f"'{name[:64]}' is unknown here; {hint}", param=name[:64])


def record_object(record: UsageRecord) -> dict[str, Any]:
    """A record as the interface shows it: moments as RFC 3339 in UTC, money as a plain decimal in USD.

    The interface, the table and the hash each name a record's fields for themselves: none changes with another.
    """
    return {
        "request_id": record.request_id,
        "stream_id": record.stream_id,
        "at": moment_text(record.at),
        "key_id": record.key_id,
        "user": record.user,
        "tags": dict(record.tags),
        "surface": record.surface,
        "model": record.model,
        "provider": record.provider,
        "upstream_model": record.upstream_model,
        "upstream_id": record.upstream_id,
        "input_tokens": record.input_tokens,
        "output_tokens": record.output_tokens,
        "cached_input_tokens": record.cached_input_tokens,
        "reasoning_tokens": record.reasoning_tokens,
        "cost_usd": usd_text(record.nano_usd),
        "cost_source": record.cost_source,
        "price_date": record.price_date,
        "status": record.status,
        "error_code": record.error_code,
        "cache": record.cache,
        "cache_key": record.cache_key,
        "saved_usd": usd_text(record.saved_nano_usd),
        "attempts": record.attempts,
        "tries": [_tried_object(one) for one in record.tries],
        "wasted_usd": usd_text(record.wasted_nano_usd),
        "queue_ms": record.queue_ms,
        "first_chunk_ms": record.first_chunk_ms,
        "duration_ms": record.duration_ms,
        "overhead_ms": record.overhead_ms,
        "adjusts": record.adjusts,
        "verdicts": [verdict_object(one) for one in record.verdicts],
    }


def sum_object(summed: UsageSum) -> dict[str, Any]:
    """Sums of one group, its names among them."""
    return {
        **summed.group,
        "requests": summed.requests,
        "errors": summed.errors,
        "hits": summed.hits,
        "input_tokens": summed.input_tokens,
        "output_tokens": summed.output_tokens,
        "cached_input_tokens": summed.cached_input_tokens,
        "reasoning_tokens": summed.reasoning_tokens,
        "cost_usd": usd_text(summed.nano_usd),
        "saved_usd": usd_text(summed.saved_nano_usd),
        "wasted_usd": usd_text(summed.wasted_nano_usd),
    }


def verdict_object(verdict: Verdict) -> dict[str, Any]:
    """What a filter has found, as the interface shows it."""
    return {
        "filter": verdict.filter,
        "type": verdict.type,
        "on": verdict.on,
        "action": verdict.action,
        "labels": [*verdict.labels],
        "count": verdict.count,
        "failed": verdict.failed,
    }


def _tried_object(tried: Tried) -> dict[str, Any]:
    return {
        "provider": tried.provider,
        "upstream_model": tried.upstream_model,
        "error_code": tried.error_code,
        "duration_ms": tried.duration_ms,
        "wasted_usd": usd_text(tried.nano_usd),
    }


def moment_or_day(name: str, text: str) -> datetime:
    """A moment, or a day, which stands for its beginning in UTC."""
    if not _DAY.fullmatch(text):
        return read_moment(name, text)
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise InvalidValue(f"'{name}' is a day that there is not.", param=name) from None


def plain_text(name: str, text: str) -> str:
    """A short text that can be printed. Raises InvalidValue."""
    if not 1 <= len(text) <= MOST_CHARS or not text.isprintable():
        raise InvalidValue(f"'{name}' must be 1 to {MOST_CHARS} printable characters.", param=name)
    return text


def _tag(name: str, text: str) -> tuple[str, str]:
    tag, equals, value = text.partition("=")
    if not equals or not tag:
        raise InvalidValue(f"'{name}' must have the form name=value.", param=name)
    return plain_text(name, tag), plain_text(name, value)


def one_of(choices: Sequence[str]) -> Callable[[str, str], str]:
    """Reads one of these words; raises InvalidValue for any other."""

    def chosen(name: str, text: str) -> str:
        if text not in choices:
            raise InvalidValue(f"'{name}' must be one of {', '.join(choices)}.", param=name)
        return text

    return chosen


_READ: Final[Mapping[str, Callable[[str, str], Any]]] = MappingProxyType(
    {
        "since": moment_or_day,
        "until": moment_or_day,
        "key_id": plain_text,
        "user": plain_text,
        "model": plain_text,
        "provider": plain_text,
        "tag": _tag,
        "status": one_of(STATUSES),
        "cache": one_of(CACHE_STATUSES),
    }
)
FILTERS: Final[Sequence[str]] = tuple(_READ)
"""The names that ``read_filter`` knows."""
