"""The keys of one issuer, kept fresh: fetched in the background, and at once for a token signed with a new one."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from llm_service.domain import IssuerUnavailable, fact
from llm_service.observability import Log
from llm_service.runtime import Clock, Tasks
from llm_service.services.issuers.base import KeysAway, KeySet, KeySource, ReadKeys

FRESH_S: Final = 300.0
"""How often keys are fetched."""
RETRY_S: Final = 15.0
"""The same while the issuer is away."""
APART_S: Final = 10.0
"""Fetches for tokens are so far apart at least: who invents ids of keys cannot make us ask more often."""
WAITING: Final = 256
"""Requests that may wait for the keys of one issuer."""


@fact
class Kept:
    """Keys as they came, and when (monotonic seconds)."""

    text: bytes
    keys: KeySet
    fetched_at: float


@dataclass(slots=True)
class KeyShelf:
    """The last keys of each place, through all generations of the settings of one process."""

    kept: dict[str, Kept] = field(default_factory=dict)


class FreshKeys:
    """``place``: names the source on the shelf; ``max_stale_s``: how long keys serve while they cannot be fetched."""

    def __init__(
        self,
        source: KeySource,
        *,
        name: str,
        place: str,
        max_stale_s: float,
        read: ReadKeys,
        shelf: KeyShelf,
        clock: Clock,
        tasks: Tasks,
        log: Log,
    ) -> None:
        self._source = source
        self._name = name
        self._place = place
        self._max_stale_s = max_stale_s
        self._read = read
        self._shelf = shelf
        self._now: Callable[[], float] = clock.monotonic
        self._clock = clock
        self._tasks = tasks
        self._log = log
        self._kept = shelf.kept.get(place)
        self._fetching: asyncio.Task[None] | None = None
        self._not_before = float("-inf")
        self._waiting = 0
        self._away = ""

    @property
    def current(self) -> KeySet | None:
        """The keys that hold now; ``None`` where none were fetched, or those are too old."""
        kept = self._kept
        return kept.keys if kept is not None and self._now() - kept.fetched_at <= self._max_stale_s else None

    def start(self) -> None:
        """Fetch now, and again and again, until the tasks' owner ends it."""
        self._tasks.spawn(self._keep_fresh(), name=f"keys of {self._name}")

    async def renew(self) -> None:
        """Fetch now, unless that was done a moment ago; return when it was, well or not.

        Raises IssuerUnavailable where too many wait already.
        """
        if self._fetching is None and self._now() < self._not_before:
            return
        if self._waiting >= WAITING:
            raise IssuerUnavailable("Too many requests wait for the keys of their issuer. Try again.", retry_after_s=1)
        self._waiting += 1
        try:
            await asyncio.wait({self._begin()})  # who leaves takes nothing from the others
        finally:
            self._waiting -= 1

    def _begin(self) -> asyncio.Task[None]:
        """What fetches: one at a time, whoever wants it."""
        if self._fetching is None:
            self._fetching = self._tasks.spawn(self._fetch(), name=f"fetch keys of {self._name}")
            self._fetching.add_done_callback(self._ended)
        return self._fetching

    def _ended(self, _: object) -> None:
        self._fetching = None
        self._not_before = self._now() + APART_S

    async def _keep_fresh(self) -> None:
        if self._kept is not None:  # of a generation before; who reloads may have taken a key out
            await self._clock.sleep(max(0.0, self._kept.fetched_at + APART_S - self._now()))
        while True:
            await asyncio.wait({self._begin()})
            await self._clock.sleep(RETRY_S if self._away else FRESH_S)

    async def _fetch(self) -> None:
        try:
            text = await self._source.fetch()
            kept = self._kept
            keys = kept.keys if kept is not None and kept.text == text else self._read(text)
        except KeysAway as away:
            self._tell_away(str(away))
        except ValueError as fault:
            self._tell_away(f"what it says {fault}")
        else:
            self._keep(Kept(text=text, keys=keys, fetched_at=self._now()))

    def _keep(self, kept: Kept) -> None:
        if self._away:
            self._log.info("the keys of an issuer are back", issuer=self._name)
        elif self._kept is not None and self._kept.keys is not kept.keys:
            self._log.info("an issuer has changed its keys", issuer=self._name)
        self._away = ""
        self._kept = self._shelf.kept[self._place] = kept

    def _tell_away(self, cause: str) -> None:
        if cause != self._away:
            self._log.warning("the keys of an issuer cannot be fetched", issuer=self._name, cause=cause)
        self._away = cause
