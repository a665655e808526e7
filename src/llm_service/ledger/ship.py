"""Brings a journal's records to the database, every 200 ms or 500 rows, for as long as it takes."""

import asyncio
import random
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from llm_service.domain import UsageRecord
from llm_service.ledger.backlog import Backlog
from llm_service.ledger.chain import START, Tip
from llm_service.ledger.journal import Journal
from llm_service.observability import Log
from llm_service.runtime import Clock
from llm_service.storage import ChainLink, LedgerRow, LedgerStore, StoreUnavailable

EVERY_S: Final = 0.2
BATCH_ROWS: Final = 500
LONGEST_PAUSE_S: Final = 2.0
FIRST_PAUSE_S: Final = 0.1
MOST_REMEMBERED: Final = 4096
"""How many records are remembered by their request: the newest that are not shipped, and the newest that are."""

OnShipped = Callable[[int], None]


class Trouble(NamedTuple):
    """What does not work, in words without secrets, and since when."""

    reason: str
    since: datetime


class _Age(NamedTuple):
    seq: int
    at_s: float


class Shipper:
    """Ships what is added, in its order. A store that is away is asked again and again, and nobody waits for it."""

    def __init__(
        self, journal: Journal, backlog: Backlog, *, store: LedgerStore, clock: Clock, dice: random.Random, log: Log
    ) -> None:
        self.tip: Tip = START
        self.trouble: Trouble | None = None
        self._journal = journal
        self._backlog = backlog
        self._store = store
        self._clock = clock
        self._dice = dice
        self._log = log
        self._one_at_a_time = asyncio.Lock()
        self._some = asyncio.Event()
        self._due = asyncio.Event()
        self._ages = deque[_Age]()
        self._recent = OrderedDict[str, UsageRecord]()
        self._marks = OrderedDict[str, int]()
        self._callbacks = dict[str, list[OnShipped]]()
        self._failures = 0

    def __len__(self) -> int:
        return len(self._backlog)

    @property
    def oldest_s(self) -> float | None:
        """For how long the oldest record has been waiting, to the second; ``None`` when all are shipped."""
        return self._clock.monotonic() - self._ages[0].at_s if self._ages else None

    def add(self, record: UsageRecord, link: ChainLink) -> None:
        """Ship this record, a storable one and the newest of the journal, in its turn."""
        backlog, recent = self._backlog, self._recent
        backlog.add(LedgerRow(record, link, 0, True), self._journal.last)  # noqa: FBT003 - a storable one, without a mark
        recent[record.request_id] = record
        if len(recent) > MOST_REMEMBERED:
            recent.popitem(last=False)
        now_s = self._clock.monotonic()
        if not self._ages or now_s - self._ages[-1].at_s >= 1:  # one a second says enough
            self._ages.append(_Age(link.seq, now_s))
        if link.seq - backlog.shipped_seq >= BATCH_ROWS:
            self._due.set()
        self._some.set()

    def recent(self, request_id: str) -> UsageRecord | None:
        """A record that is not shipped yet and among the newest of these."""
        return self._recent.get(request_id)

    def knows(self, request_id: str) -> bool:
        """Whether the request is among the newest that have a record."""
        return request_id in self._recent or request_id in self._marks

    def when_shipped(self, request_id: str, callback: OnShipped) -> None:
        """Call back with the mark of the request's record, at once when it is shipped already."""
        mark = self._marks.get(request_id)
        if mark is None:
            self._callbacks.setdefault(request_id, []).append(callback)
        else:
            callback(mark)

    async def run(self) -> None:
        """Ship for ever."""
        while True:
            await self._some.wait()
            await self._moment()
            await self._try()
            if not self._backlog:
                self._some.clear()

    async def finish(self) -> None:
        """Ship all that is left; a store that is away is asked again and again. For whoever bounds the time."""
        while self._backlog:
            await self._try()

    async def flush(self) -> None:
        """Ship now what there is now. Raises StoreUnavailable, and keeps everything then."""
        last_seq = self._backlog.last_seq
        async with self._one_at_a_time:
            while self._backlog.shipped_seq < last_seq:
                rows = await self._backlog.oldest(BATCH_ROWS, end=self._journal.position)
                self._arrived(rows, await self._store.append(rows))
                await self._remove(self._journal.shipped(self._backlog.shipped_seq))

    async def _moment(self) -> None:
        timer = self._clock.call_later(EVERY_S, self._due.set)
        await self._due.wait()
        timer.cancel()
        self._due.clear()

    async def _try(self) -> None:
        try:
            await self.flush()
        except StoreUnavailable as error:
            self._failed(str(error))
        except Exception as error:  # noqa: BLE001 - a defect must not end the shipping: what is kept is money
            self._failed("the database refuses records", defect=error)
        else:
            self._worked()
            return
        longest_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(self._failures, 10))
        await self._clock.sleep(longest_s * (0.5 + self._dice.random() / 2))
        self._due.set()

    def _failed(self, reason: str, *, defect: Exception | None = None) -> None:
        self._failures += 1
        if self.trouble is None or self.trouble.reason != reason:
            since = self.trouble.since if self.trouble else self._clock.now()
            self.trouble = Trouble(reason, since)
            self._log.error("records_are_kept_back", reason=reason, records=len(self), exc_info=defect)

    def _worked(self) -> None:
        if self.trouble is not None:
            self._log.info("records_are_shipped_again", since=self.trouble.since.isoformat())
        self.trouble = None
        self._failures = 0

    def _arrived(self, rows: Sequence[LedgerRow], marks: Sequence[int]) -> None:
        self._backlog.shipped(len(rows))
        last = rows[-1].link
        self.tip = Tip(last.seq, last.hash)
        recent, known, callbacks = self._recent, self._marks, self._callbacks
        for row, mark in zip(rows, marks, strict=True):
            request_id = row.record.request_id
            recent.pop(request_id, None)
            known[request_id] = mark
            if callbacks:
                for callback in callbacks.pop(request_id, ()):
                    self._tell(callback, mark)
        while len(known) > MOST_REMEMBERED:
            known.popitem(last=False)
        while self._ages and self._ages[0].seq <= last.seq:
            age = self._ages.popleft()
            if last.seq < self._backlog.last_seq and (not self._ages or self._ages[0].seq > last.seq + 1):
                self._ages.appendleft(_Age(last.seq + 1, age.at_s))

    def _tell(self, callback: OnShipped, mark: int) -> None:
        try:
            callback(mark)
        except Exception as error:  # noqa: BLE001 - the others must hear of theirs
            self._log.error("callback_failed", work="when_shipped", exc_info=error)

    async def _remove(self, paths: Sequence[Path]) -> None:
        try:
            if paths:
                await asyncio.to_thread(_unlink, paths)
        except OSError as error:  # whoever adopts what is left of this journal tries again
            self._log.warning("shipped_journal_not_removed", reason=error.strerror)


def _unlink(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
