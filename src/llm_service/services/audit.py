"""The audit log, read page by page, and its oldest entries removed when they have been kept long enough."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final, get_args

from llm_service.domain import InvalidValue, LLMServiceError, ProviderState, fact
from llm_service.runtime import Clock
from llm_service.services.database import database_needed
from llm_service.services.moments import moment_text
from llm_service.services.usage_fields import moment_or_day, one_of, plain_text, unknown_name
from llm_service.storage import ActDoor, ActOutcome, AuditEntry, AuditFilter, AuditStore

REMOVED_AT_ONCE: Final = 1000
"""Entries in one transaction: others wait for it."""
MOST_CURSOR_DIGITS: Final = 18
ACT_DOORS: Final[Sequence[str]] = get_args(ActDoor)
ACT_OUTCOMES: Final[Sequence[str]] = get_args(ActOutcome)
STATE_ACTS: Final[Mapping[ProviderState, str]] = MappingProxyType(
    {"enabled": "provider.enable", "draining": "provider.drain", "disabled": "provider.disable"}
)
"""What is done to a provider whose state is this then."""
AWAY: Final = "The audit log cannot be read now: the database does not answer."


@fact
class AuditPage:
    """Some entries, newest first, and what to ask with for the next ones (``None``: there are none)."""

    entries: Sequence[AuditEntry]
    next_cursor: str | None


class Audit:
    """What operators did, in the whole deployment."""

    def __init__(self, store: AuditStore) -> None:
        self._store = store

    async def page(self, which: AuditFilter, *, cursor: str | None = None, count: int) -> AuditPage:
        """Up to ``count`` entries, newest first, those after a page's ``next_cursor``.

        Entries are only ever added before the newest: whoever goes on from page to page sees each that there was once.
        Raises InvalidValue for another cursor, LedgerUnavailable where the database does not answer.
        """
        after = None if cursor is None else _mark_of(cursor)
        with database_needed(AWAY):
            found = await self._store.page(which, after=after, count=count + 1)
        entries = found[:count]
        return AuditPage(entries=entries, next_cursor=str(entries[-1].mark) if len(found) > count else None)

    async def remove_old(self, *, kept_for: timedelta, clock: Clock) -> int:
        """Remove what is older; how many entries. Raises StoreUnavailable."""
        removed = 0
        while few := await self._store.remove(before=clock.now() - kept_for, count=REMOVED_AT_ONCE):
            removed += few
        return removed


def outcome_of(error: LLMServiceError | None) -> ActOutcome:
    """What came of an act that ended with this, or well."""
    if error is None:
        return "done"
    return "refused" if error.fault == "caller" else "failed"


def read_audit_filter(given: Mapping[str, str]) -> AuditFilter:
    """Which entries, from texts by name; what is not given lets all through. Raises InvalidValue, also for others."""
    for name in given:
        if name not in _READ:
            raise unknown_name(name, tuple(_READ))
    which = AuditFilter(**{name: _READ[name](name, text) for name, text in given.items()})
    if which.since is not None and which.until is not None and which.since >= which.until:
        raise InvalidValue("'until' must be later than 'since'.", param="until")
    return which


def audit_object(entry: AuditEntry) -> dict[str, Any]:
    """An entry as the interface shows it."""
    return {
        "id": entry.id,
        "at": moment_text(entry.at),
        "key_id": entry.key_id,
        "key_name": entry.key_name,
        "peer": entry.peer,
        "door": entry.door,
        "act": entry.act,
        "subject": entry.subject,
        "fields": [*entry.fields],
        "outcome": entry.outcome,
        "error_code": entry.error_code,
        "request_id": entry.request_id,
        "times": entry.times,
    }


def _mark_of(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= MOST_CURSOR_DIGITS):
        raise InvalidValue("'cursor' must be the `next_cursor` of a page.", param="cursor")
    return int(cursor)


_READ: Final[Mapping[str, Callable[[str, str], Any]]] = MappingProxyType(
    {
        "since": moment_or_day,
        "until": moment_or_day,
        "act": plain_text,
        "key_id": plain_text,
        "subject": plain_text,
        "outcome": one_of(ACT_OUTCOMES),
        "door": one_of(ACT_DOORS),
    }
)
AUDIT_FILTERS: Final[Sequence[str]] = tuple(_READ)
"""The names that ``read_audit_filter`` knows."""
