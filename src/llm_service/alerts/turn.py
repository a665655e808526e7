"""Whose turn it is to look at the rules, and what is known of alerts: kept in the database for whoever comes next."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal

from llm_service.alerts.alert import Alert, resolved
from llm_service.alerts.book import Book, book_text, joined, read_book, told_alone
from llm_service.alerts.entry import Event, entry_of, of_change
from llm_service.alerts.silence import Silence, read_silence
from llm_service.observability import Log
from llm_service.runtime import Clock
from llm_service.storage import AlertLease, AlertStore, StoreUnavailable

LEASE_INTERVALS: Final = 1.5
"""With a look every half interval somebody else goes on after two intervals at most."""
MOST_UNSAVED: Final = 1000

Whose = Literal["begun", "mine", "another's"]
"""``begun``: this process's from now on, after somebody else's."""


class Turn:
    """``book`` is what is known. ``held``: this process looks for all; ``alone``: by itself, without the database.

    ``waits``: whether what becomes of notices is not known yet, so that what happened is better kept later.
    """

    def __init__(
        self,
        store: AlertStore,
        *,
        holder: str,
        interval_s: float,
        clock: Clock,
        log: Log,
        waits: Callable[[], bool],
    ) -> None:
        self._store = store
        self._holder = holder
        self._interval_s = interval_s
        self._clock = clock
        self._log = log
        self._waits = waits
        self._known: str | None = None
        self._version: int | None = None
        self._unsaved: deque[Event] = deque(maxlen=MOST_UNSAVED)
        self._asking = asyncio.Lock()
        self._renewed_at = clock.monotonic()
        self.book = Book()
        self.silences: Sequence[Silence] = ()
        self.held = False
        self.alone = False

    @property
    def looks(self) -> bool:
        """Whether this process looks at the rules: for all, or by itself."""
        return self.held or self.alone

    # -- whose

    async def take(self, now: datetime) -> Whose:
        """Try for the turn. Raises StoreUnavailable.

        Nothing is saved meanwhile: the version that is told here would not be the newest.
        """
        async with self._asking:
            lease = await self._take(now)
            if lease.holder != self._holder:
                await self._leave_to(lease, now)
                return "another's"
            rows = await self._store.silences(ending_after=now)
            self.silences = [read_silence(row.body) for row in rows]
            return self._take_up(lease)

    async def renew(self) -> bool:
        """Whether it is still this process's turn; asks once in half an interval. Raises StoreUnavailable."""
        if self._clock.monotonic() - self._renewed_at < self._interval_s / 2:
            return True
        return (await self._take(self._clock.now())).holder == self._holder

    async def _take(self, now: datetime) -> AlertLease:
        until = now + timedelta(seconds=LEASE_INTERVALS * self._interval_s)
        self._renewed_at = self._clock.monotonic()
        return await self._store.take(self._holder, now=now, until=until)

    def _take_up(self, lease: AlertLease) -> Whose:
        """Go on where the former one stopped, or where this process did when nobody has looked since."""
        begun = self._version != lease.version
        if begun:
            theirs = self._read(lease.state)
            self.book = joined(theirs, self.book) if self.alone else theirs
            self._version = lease.version
        self.held, self.alone, self._known = True, False, lease.state
        return "begun" if begun else "mine"

    async def _leave_to(self, lease: AlertLease, now: datetime) -> None:
        """Another one looks. What this process alone has told is over, as far as that one does not see it too."""
        if self.alone:
            theirs, before = self._read(lease.state), self.book.alerts.values()
            over = [one for one in before if one.state == "firing" and not _fires(one, theirs)]
            self._unsaved.extend(of_change(resolved(one, now), now) for one in over)
            self.book = told_alone(self.book, theirs, now)
        elif self.held:
            self.book = Book()
        elif self._unsaved and not self._waits():
            await self._append()
        self.held, self.alone, self._version, self._known = False, False, None, lease.state

    def lose(self) -> None:
        """Another one looks, who knows better."""
        self.held, self._version, self.book = False, None, Book()

    def go_alone(self, away: StoreUnavailable) -> None:
        """Look by oneself, from what was known last."""
        if not self.looks:
            self.book = self._read(self._known)
        if not self.alone:
            self._log.warning("alerts are looked at by this machine alone", cause=str(away))
        self.alone, self.held = True, False

    async def release(self) -> None:
        """Let another one look at once."""
        if not self.held:
            return
        self.held = False
        try:
            await self._store.release(self._holder, now=self._clock.now())
        except StoreUnavailable as away:
            self._log.debug("the lease of alerts runs out by itself", cause=str(away))

    def _read(self, state: str | None) -> Book:
        try:
            return read_book(state)
        except ValueError as garbage:
            self._log.error("the kept state of alerts is not understood; they are looked at anew", exc_info=garbage)
            return Book()

    # -- what happened

    def note(self, event: Event) -> None:
        """To be kept with the next ``save``."""
        self._unsaved.append(event)

    async def save(self) -> None:
        """Keep what is known; without the database it is kept later."""
        async with self._asking:
            if not self.held or self._version is None:
                return
            events = tuple(self._unsaved)
            try:
                saved = await self._store.save(
                    self._holder,
                    version=self._version,
                    state=book_text(self.book),
                    entries=[entry_of(event) for event in events],
                )
            except StoreUnavailable as away:
                self.go_alone(away)
                return
            if saved:
                self._version += 1
                self._are_kept(events)
            else:
                self.lose()

    async def leave(self) -> None:
        """Keep what is known and what happened, and let another one look at once."""
        await self.save()
        if not self.held and self._unsaved:
            try:
                await self._append()
            except StoreUnavailable as away:
                self._log.debug("what became of notices is not kept", cause=str(away))
        await self.release()

    async def _append(self) -> None:
        events = tuple(self._unsaved)
        await self._store.append([entry_of(event) for event in events])
        self._are_kept(events)

    def _are_kept(self, events: Sequence[Event]) -> None:
        for event in events:
            if self._unsaved and self._unsaved[0] is event:  # too many came meanwhile: the oldest are gone
                self._unsaved.popleft()

    async def prune(self, *, before: datetime) -> None:
        """Remove what happened before that. Raises StoreUnavailable."""
        await self._store.prune(before=before)


def _fires(alert: Alert, book: Book) -> bool:
    known = book.alerts.get(alert.key)
    return known is not None and known.state == "firing"
