"""Brings what operators do into the audit log, behind the back of what they do: no act fails because of its entry."""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from typing import Final

from llm_service.observability import Log, Redaction
from llm_service.runtime import Clock, IdSource
from llm_service.services.refusals import Refusals
from llm_service.storage import ActDoor, ActOutcome, AuditEntry, AuditStore, StoreUnavailable

MOST_WAITING: Final = 10_000
"""Entries that wait for the database; some 5 MB."""
BATCH: Final = 100
PAUSE_S: Final = 1.0
KEPT_WITHIN_S: Final = 1.0
"""How long an answer waits for the entry of its act."""
CLOSING_S: Final = 2.0
LOST_ACT: Final = "audit.lost"


class AuditTrail:
    """Keeps entries in their order, as soon as the database takes them. Belongs to one event loop.

    Whoever notes an act has told the log of it before: what is lost here is told there.
    """

    def __init__(
        self, store: AuditStore, *, clock: Clock, ids: IdSource, log: Log, redaction: Redaction | None = None
    ) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._log = log
        self._redaction = redaction or Redaction()
        self._refusals = Refusals(clock, self._keep)
        self._waiting = deque[AuditEntry]()
        self._lost = 0
        self._told: str | None = None
        self._some = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._waiting)

    def note(
        self,
        act: str,
        *,
        door: ActDoor,
        outcome: ActOutcome,
        subject: str | None = None,
        error_code: str | None = None,
        key_id: str | None = None,
        key_name: str | None = None,
        peer: str | None = None,
        request_id: str | None = None,
        fields: Sequence[str] = (),
    ) -> None:
        """An act, from now. Nothing is awaited, and nothing is raised. Refusals are counted (:class:`Refusals`)."""
        entry = AuditEntry(
            id=self._ids.new("act"),
            at=self._clock.now(),
            door=door,
            act=act,
            outcome=outcome,
            subject=self._clean(subject),
            error_code=error_code,
            key_id=key_id,
            key_name=self._clean(key_name),
            peer=peer,
            request_id=request_id,
            fields=tuple(map(self._redaction.text, fields)),
        )
        if outcome == "refused":
            self._refusals.add(entry)
        else:
            self._keep(entry)

    async def kept(self) -> None:
        """Returns when the database has what was noted before, when it does not take it, or after a second."""
        if self._waiting and self._told is None:
            with suppress(TimeoutError):  # ``run`` goes on with it
                async with asyncio.timeout(KEPT_WITHIN_S):
                    await self._flushed()

    async def run(self) -> None:
        """Keep for ever."""
        while True:
            await self._some.wait()
            if await self._flushed():
                self._some.clear()
            else:
                await self._clock.sleep(PAUSE_S)

    async def aclose(self) -> None:
        """Keep what is left, for two seconds at most; what cannot be kept is told. ``run`` must have ended."""
        self._refusals.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_S):
                await self._flushed()
        if left := len(self._waiting) + self._lost:
            self._log.error("acts_are_not_kept", acts=left, reason="the service ends before the database takes them")

    def _keep(self, entry: AuditEntry) -> None:
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append(entry)
        else:
            self._lost += 1
            if self._lost == 1:  # each has a line of its own; how many it were stands in the audit log afterwards
                self._log.error("acts_are_not_kept", reason=f"{MOST_WAITING} wait for the database already")
        self._some.set()

    async def _flushed(self) -> bool:
        try:
            async with self._one_at_a_time:
                while self._waiting:
                    await self._flush(list(islice(self._waiting, BATCH)))
        except StoreUnavailable as away:
            self._failed(str(away))
        except Exception as defect:  # noqa: BLE001 - it is told, and must not end the keeping for good
            self._failed("the database refuses entries", defect=defect)
        else:
            if self._told is not None:
                self._log.info("acts_are_kept_again")
                self._told = None
            return True
        return False

    async def _flush(self, few: Sequence[AuditEntry]) -> None:
        """What was kept although the database did not say so is known there by its id."""
        await self._store.append(few)
        for _ in few:
            self._waiting.popleft()
        if self._lost:
            lost, self._lost = self._lost, 0
            now, new_id = self._clock.now(), self._ids.new("act")
            self._keep(AuditEntry(id=new_id, at=now, door="service", act=LOST_ACT, outcome="failed", times=lost))

    def _failed(self, reason: str, *, defect: Exception | None = None) -> None:
        if self._told != reason:
            self._told = reason
            self._log.error("acts_are_kept_back", reason=reason, acts=len(self._waiting), exc_info=defect)

    def _clean(self, text: str | None) -> str | None:
        return None if text is None else self._redaction.text(text)
