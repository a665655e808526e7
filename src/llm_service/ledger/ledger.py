"""The ledger as the pipeline sees it: an intent before an upstream call, one record for every admitted request."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from llm_service.domain import Intent, LedgerUnavailable, UsageRecord, fact
from llm_service.ledger.adopt import Adopter, OnLost
from llm_service.ledger.backlog import Backlog
from llm_service.ledger.chain import kept
from llm_service.ledger.folder import make_folder
from llm_service.ledger.journal import Journal
from llm_service.ledger.options import LedgerOptions
from llm_service.ledger.seals import TICK_S, Keeper, seal_up_to
from llm_service.ledger.ship import Shipper, Trouble
from llm_service.ledger.sync import INTERVAL_S, Syncer
from llm_service.observability import Log
from llm_service.runtime import Clock, OnFailure, Tasks
from llm_service.storage import LedgerStore, StoreUnavailable

ADOPT_EVERY_S: Final = 1.0
REWRITE_EVERY_S: Final = 0.25
FOLDER: Final = "journal"


@fact
class LedgerState:
    """How the ledger is, for ``/health``.

    ``unshipped_records``: in the journal, and not in the database yet; ``oldest_unshipped_s``: for how long the oldest
    one. ``unsynced_bytes``: what a loss of power would take. ``unwritten_records``: closed, and kept in memory because
    the disk does not take them. ``open_requests``: intents without a record. ``dead_journals``: of processes that
    died, not adopted yet. ``error``: what does not work, without secrets, and since when.
    """

    unshipped_records: int
    oldest_unshipped_s: float | None
    unsynced_bytes: int
    unwritten_records: int
    open_requests: int
    dead_journals: int
    error: str | None
    failing_since: datetime | None


class Ledger:
    """Keeps the records of one process, and adopts those of processes that have died.

    Belongs to one event loop. `open`, `close` and `adjust` write a line to the journal and never wait for a database.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        writer: str,
        store: LedgerStore,
        options: LedgerOptions,
        clock: Clock,
        dice: random.Random,
        log: Log,
        on_lost: OnLost,
        on_failure: OnFailure,
    ) -> None:
        """``writer``: this process's name, new at every start; the limit store knows its leases by the same.

        Raises LedgerUnavailable when the journal cannot be begun.
        """
        folder = data_dir / FOLDER
        self.writer = writer
        self._store = store
        self._clock = clock
        self._log = log
        self._always = options.fsync == "always"
        self._grace_s = options.shipping_grace_s
        self._trouble: Trouble | None = None
        self._unwritten = dict[str, UsageRecord]()
        self._some_unwritten = asyncio.Event()
        self._tasks = Tasks(on_failure)
        every_s = 0.0 if self._always else INTERVAL_S
        self._syncer = Syncer(folder, every_s=every_s, on_failure=self._disk_failed)
        try:
            make_folder(folder)
            self._journal = Journal.create(folder, writer, retire=self._syncer.retire)
        except OSError as error:
            raise self._cannot_write(error) from error
        backlog = Backlog(folder, writer)
        self._shipper = Shipper(self._journal, backlog, store=store, clock=clock, dice=dice, log=log)
        self._adopter = Adopter(folder, own=writer, store=store, on_lost=on_lost, clock=clock, log=log)
        self._keeper = Keeper(store, writer=writer, options=options, clock=clock, log=log)

    def start(self) -> None:
        """Begin to synchronise, to ship, to adopt and to keep."""
        self._syncer.start()
        self._tasks.spawn(self._shipper.run(), name="ship records")
        self._tasks.spawn(self._write_again(), name="write records again")
        self._begin(self.adopt, every_s=ADOPT_EVERY_S, name="adopt journals")
        self._begin(self._keep, every_s=TICK_S, name="keep the ledger")

    def open(self, intent: Intent) -> None:
        """Write down that an upstream is about to be called. A further intent for the same request replaces it.

        Raises LedgerUnavailable when the disk takes no more: nothing may be begun then.
        """
        if self._unwritten and not self._write_kept():
            raise LedgerUnavailable("records of earlier requests cannot be written: no new request is begun")
        try:
            self._journal.open(intent)
        except OSError as error:
            raise self._cannot_write(error) from error
        self._written()

    def close(self, record: UsageRecord) -> Awaitable[None] | None:
        """Write a request's one record; ``None``: it is written, and the last byte may go out.

        With fsync ``always`` what is returned must be awaited first. A second record of the same request is left out.
        Raises LedgerUnavailable when the disk takes no more: the record is kept and tried again, and the client must
        not get an answer that looks complete.
        """
        record, text = kept(record)
        if self._shipper.knows(record.request_id):
            return None
        try:
            link = self._journal.close(record, text=text)
        except OSError as error:
            self._unwritten[record.request_id] = record
            self._some_unwritten.set()
            raise self._cannot_write(error) from error
        if self._unwritten:
            self._unwritten.pop(record.request_id, None)
        self._shipper.add(record, link)
        self._written()
        return self._syncer.reached() if self._always else None

    def adjust(self, record: UsageRecord) -> Awaitable[None] | None:
        """Write a correction: a further record, with an id of its own, whose figures are differences. As `close`."""
        if record.adjusts is None:
            raise ValueError("a correction names the record that it adjusts")
        return self.close(record)

    def recent(self, request_id: str) -> UsageRecord | None:
        """A record that is not in the database yet; the newest 4096 of them are remembered."""
        return self._unwritten.get(request_id) or self._shipper.recent(request_id)

    def when_shipped(self, request_id: str, callback: Callable[[int], None]) -> None:
        """Call back with the mark that the database gave the request's record, at once when it has one.

        One callback is kept for each such request until the database is back.
        """
        self._shipper.when_shipped(request_id, callback)

    async def flush(self) -> None:
        """Ship everything now. Raises StoreUnavailable; nothing is lost then."""
        await self._shipper.flush()

    async def adopt(self) -> int:
        """Adopt the journals of processes that have died; how many that were."""
        return await self._adopter.round()

    @property
    def state(self) -> LedgerState:
        """How the ledger is now."""
        trouble = self._trouble or self._shipper.trouble
        return LedgerState(
            unshipped_records=len(self._shipper),
            oldest_unshipped_s=self._shipper.oldest_s,
            unsynced_bytes=self._journal.written_bytes - self._syncer.synced_bytes,
            unwritten_records=len(self._unwritten),
            open_requests=self._journal.open_requests,
            dead_journals=self._adopter.waiting,
            error=trouble.reason if trouble else None,
            failing_since=trouble.since if trouble else None,
        )

    async def aclose(self) -> None:
        """Ship what can be shipped within ``shipping_grace_s``. What cannot stays in the journal, to be adopted.

        Idempotent; nothing can be written afterwards.
        """
        if self._journal.fd < 0:
            return
        await self._tasks.aclose()
        everything = self._write_kept() and await self._ship_the_rest()
        await asyncio.to_thread(self._syncer.stop)
        remove = everything and not self._journal.open_requests
        await asyncio.to_thread(self._journal.finish, remove=remove)

    async def _ship_the_rest(self) -> bool:
        try:
            async with asyncio.timeout(self._grace_s):
                await self._shipper.finish()
                await seal_up_to(self._store, self.writer, self._shipper.tip, clock=self._clock)
        except (StoreUnavailable, TimeoutError) as error:
            trouble = self._shipper.trouble
            reason = trouble.reason if trouble else str(error) or "no time left"
            self._log.warning("journal_left_behind", records=len(self._shipper), reason=reason)
            return False
        return True

    def _written(self) -> None:
        self._syncer.touch(self._journal.fd, self._journal.written_bytes)
        if self._trouble is not None and not self._unwritten:
            self._log.info("journal_is_written_again", since=self._trouble.since.isoformat())
            self._trouble = None

    def _cannot_write(self, error: OSError) -> LedgerUnavailable:
        reason = error.strerror or "the disk refuses"
        if self._trouble is None:
            self._trouble = Trouble(f"the journal cannot be written: {reason}", self._clock.now())
            self._log.error("journal_cannot_be_written", reason=reason)
        return LedgerUnavailable(f"the record of this request cannot be kept ({reason}): the operator has to make room")

    def _disk_failed(self, error: OSError | None) -> None:
        if error is not None:
            self._cannot_write(error)
        elif not self._unwritten:
            self._trouble = None

    async def _write_again(self) -> None:
        while True:
            await self._some_unwritten.wait()
            await self._clock.sleep(REWRITE_EVERY_S)
            if self._write_kept():
                self._some_unwritten.clear()

    def _write_kept(self) -> bool:
        """Write the records that the disk did not take, in their order; whether all are written now."""
        for request_id, record in list(self._unwritten.items()):
            try:
                link = self._journal.close(record)
            except OSError:  # known and told: it is why they are kept
                return False
            del self._unwritten[request_id]
            self._shipper.add(record, link)
            self._written()
        return True

    def _begin(self, work: Callable[[], Awaitable[object]], *, every_s: float, name: str) -> None:
        self._tasks.spawn(self._every(every_s, work, name=name), name=name)

    async def _every(self, pause_s: float, work: Callable[[], Awaitable[object]], *, name: str) -> None:
        while True:
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - a defect is told, and must not end the work for good
                self._log.error("ledger_work_failed", work=name, exc_info=error)
            await self._clock.sleep(pause_s)

    async def _keep(self) -> None:
        await self._keeper.round(self._shipper.tip)
