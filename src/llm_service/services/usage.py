"""Reads what was recorded: one request, pages of records, sums."""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

from llm_service.domain import Caller, InvalidValue, NotFound, UsageRecord, fact
from llm_service.runtime import Clock
from llm_service.services.database import database_needed
from llm_service.services.usage_fields import record_object
from llm_service.storage import LedgerRow, LedgerStore, UsageFilter, UsageGroup, UsageSum

PAGE_ROWS: Final = 1000
MOST_ID_CHARS: Final = 512
MOST_CURSOR_DIGITS: Final = 18
LOOK_AGAIN_AFTER_S: Final = (0.1, 0.2, 0.3)
"""Pauses before another look for a record that may be on its way: other processes ship theirs every 0.25 s."""
_MAY_COME: Final = re.compile(r"[A-Za-z0-9][\w.:-]{7,127}", re.ASCII)
"""How ids look, ours and those of providers."""
AWAY: Final = "What was recorded cannot be read now: the database does not answer."


class Unshipped(Protocol):
    """Records of this process that are on their way to the database."""

    def recent(self, request_id: str) -> UsageRecord | None:
        """One of them."""


@fact
class Generation:
    """One request as it stands now: what was recorded first, and the corrections that were added to it."""

    first: UsageRecord
    corrections: Sequence[UsageRecord] = ()

    @property
    def record(self) -> UsageRecord:
        """The first record with the sum of all differences; its cost rests on what the last correction rests on."""
        records = (self.first, *self.corrections)
        return replace(
            self.first,
            input_tokens=sum(one.input_tokens for one in records),
            output_tokens=sum(one.output_tokens for one in records),
            cached_input_tokens=sum(one.cached_input_tokens for one in records),
            reasoning_tokens=sum(one.reasoning_tokens for one in records),
            nano_usd=sum(one.nano_usd for one in records),
            saved_nano_usd=sum(one.saved_nano_usd for one in records),
            wasted_nano_usd=sum(one.wasted_nano_usd for one in records),
            cost_source=records[-1].cost_source,
            price_date=records[-1].price_date,
        )


@fact
class UsagePage:
    """Some records, newest first, and what to ask with for the next ones (``None``: there are none).

    ``cursors``: what to ask with for the records after each of them.
    """

    records: Sequence[UsageRecord]
    next_cursor: str | None
    cursors: Sequence[str] = ()


class Usage:
    """The recorded usage of the deployment. All methods raise LedgerUnavailable where the database does not answer.

    What other processes have recorded is there as soon as they have shipped it, usually within a second. With a
    ``clock``, who asks for one such record waits for it.
    """

    def __init__(self, ledger: LedgerStore, *, unshipped: Unshipped | None = None, clock: Clock | None = None) -> None:
        self._ledger = ledger
        self._unshipped = unshipped
        self._clock = clock

    async def generation(self, request_id: str, caller: Caller) -> Generation:
        """The record of a request by its id, or by the upstream's own, with all corrections.

        Looks again for 0.6 s, then raises NotFound: also, and as late, for a request of another key unless the caller
        has the scope ``read`` or ``admin``.
        """
        if self._clock is not None and _MAY_COME.fullmatch(request_id):
            for pause_s in LOOK_AGAIN_AFTER_S:
                try:
                    return await self._look(request_id, caller)
                except NotFound:
                    await self._clock.sleep(pause_s)
        return await self._look(request_id, caller)

    async def _look(self, request_id: str, caller: Caller) -> Generation:
        if (waiting := self._waiting(request_id)) is not None:
            if _may_see(caller, waiting):
                return Generation(first=waiting)
            raise _not_found(request_id)
        if len(request_id) > MOST_ID_CHARS or not request_id.isprintable():  # nothing else is put to the database
            raise _not_found(request_id)
        with database_needed(AWAY):
            rows = await self._ledger.find(request_id)
        return _generation([row.record for row in rows if _may_see(caller, row.record)], request_id)

    async def page(self, which: UsageFilter, *, cursor: str | None = None, count: int) -> UsagePage:
        """Up to ``count`` records and corrections, newest first, those after a page's ``next_cursor``.

        Raises InvalidValue for another cursor.
        """
        after = None if cursor is None else _mark_of(cursor)
        with database_needed(AWAY):
            found = await self._ledger.page(which, after=after, count=count + 1)
        rows = found[:count]
        cursors = [str(row.mark) for row in rows]
        next_cursor = cursors[-1] if len(found) > count else None
        return UsagePage(records=[row.record for row in rows], next_cursor=next_cursor, cursors=cursors)

    async def summary(self, which: UsageFilter, *, by: Sequence[UsageGroup] = ()) -> Sequence[UsageSum]:
        """Sums by groups, corrections included, in the order of the groups' values."""
        with database_needed(AWAY):
            return await self._ledger.sums(which, by=by)

    async def rows(self, which: UsageFilter) -> AsyncIterator[Sequence[LedgerRow]]:
        """All records and corrections, newest first, in pages; never more than one page is held."""
        after: int | None = None
        while True:
            with database_needed(AWAY):
                page = await self._ledger.page(which, after=after, count=PAGE_ROWS)
            if page:
                yield page
            if len(page) < PAGE_ROWS:
                return
            after = page[-1].mark

    def _waiting(self, request_id: str) -> UsageRecord | None:
        found = None if self._unshipped is None else self._unshipped.recent(request_id)
        return None if found is None or found.adjusts is not None else found


def generation_object(generation: Generation) -> dict[str, Any]:
    """A request as the interface shows it: its record as it stands now, and the corrections as differences."""
    corrections = [record_object(one) for one in generation.corrections]
    return {**record_object(generation.record), "corrections": corrections}


def _generation(records: Sequence[UsageRecord], request_id: str) -> Generation:
    """Of what was found, oldest first: the request of this id, else the newest whose upstream knows it by this id."""
    firsts = [one for one in records if one.adjusts is None]
    if not firsts:
        raise _not_found(request_id)
    first = next((one for one in firsts if one.request_id == request_id), firsts[-1])
    return Generation(first=first, corrections=[one for one in records if one.adjusts == first.request_id])


def _may_see(caller: Caller, record: UsageRecord) -> bool:
    return record.key_id == caller.key_id or not caller.scopes.isdisjoint(("read", "admin"))


def _not_found(request_id: str) -> NotFound:
    return NotFound(f"There is no record of a request `{request_id[:64]}`; one that still runs has none yet.")


def _mark_of(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= MOST_CURSOR_DIGITS):
        raise InvalidValue("'cursor' must be the `next_cursor` of a page.", param="cursor")
    return int(cursor)
