"""What a service looks after by itself: providers, alerts, issuers' keys, estimates, and what is expired."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from llm_service.alerts import Watch
from llm_service.domain import LedgerUnavailable
from llm_service.observability import Log
from llm_service.runtime import Clock, Tasks
from llm_service.services.audit import Audit
from llm_service.services.corrections import Corrections, corrected_object
from llm_service.services.issuers.tokens import Tokens
from llm_service.services.provider_probes import ProviderProbes
from llm_service.storage import ReplayStore, StoreUnavailable

CORRECT_S: Final = 600.0
REMOVE_S: Final = 600.0
REMOVE_ACTS_S: Final = 3600.0
FOR_GOOD: Final = timedelta(days=36500)
REMOVED_AT_ONCE: Final = 20
"""Answers in one transaction: others wait for it, and SQLite takes some 5 ms to remove a megabyte."""


class Upkeep:
    """Works in the background from ``start`` on, until the tasks' owner ends it.

    ``issuers``: of tokens, if any. ``watch``: over alerts, ``audit``: the log of acts, in the one process of a machine
    that looks after them. ``acts_kept_for``: entries of that log.
    """

    def __init__(
        self,
        probes: ProviderProbes,
        corrections: Corrections,
        replays: ReplayStore,
        watch: Watch | None = None,
        audit: Audit | None = None,
        *,
        issuers: Tokens | None = None,
        acts_kept_for: timedelta = FOR_GOOD,
        tasks: Tasks,
        clock: Clock,
        log: Log,
    ) -> None:
        self._probes = probes
        self._corrections = corrections
        self._replays = replays
        self._watch = watch
        self._issuers = issuers
        self._audit = audit
        self._acts_kept_for = acts_kept_for
        self._tasks = tasks
        self._clock = clock
        self._log = log

    def start(self) -> None:
        """Ask providers whenever something is due; correct estimates, remove answers and acts now and then."""
        self._probes.start()
        if self._watch is not None:
            self._watch.start()
        if self._issuers is not None:
            self._issuers.start()
        self._tasks.spawn(self._later(CORRECT_S, self._correct, name="corrections"), name="corrections")
        self._tasks.spawn(self._later(REMOVE_S, self._remove_replays, name="replays"), name="replays")
        if self._audit is not None:
            self._tasks.spawn(self._every(REMOVE_ACTS_S, self._remove_acts, name="audit"), name="audit")

    async def _later(self, pause_s: float, work: Callable[[], Awaitable[object]], *, name: str) -> None:
        await self._clock.sleep(pause_s)
        await self._every(pause_s, work, name=name)

    async def _every(self, pause_s: float, work: Callable[[], Awaitable[object]], *, name: str) -> None:
        while True:
            try:
                await work()
            except Exception as defect:  # noqa: BLE001 - it is told, and must not end the work for good
                self._log.error("upkeep failed", work=name, exc_info=defect)
            await self._clock.sleep(pause_s)

    async def _correct(self) -> None:
        try:
            by_provider = await self._corrections.round()
        except LedgerUnavailable as away:
            self._log.debug("estimates are not corrected", cause=away.message)
            return
        for provider, corrected in (by_provider or {}).items():
            if corrected.written:
                self._log.info("estimates corrected", provider=provider, **corrected_object(corrected))

    async def _remove_replays(self) -> None:
        """Every process does; what one has removed the others do not find."""
        now, removed = self._clock.now(), 0
        try:
            while (few := await self._replays.remove_expired(now, REMOVED_AT_ONCE)) > 0:
                removed += few
        except StoreUnavailable as away:
            self._log.debug("expired answers are not removed", cause=str(away))
        if removed:
            self._log.debug("expired answers removed", answers=removed)

    async def _remove_acts(self) -> None:
        if self._audit is None:
            return
        try:
            removed = await self._audit.remove_old(kept_for=self._acts_kept_for, clock=self._clock)
        except StoreUnavailable as away:
            self._log.debug("old acts are not removed", cause=str(away))
        else:
            if removed:
                self._log.info("old_acts_removed", acts=removed)
