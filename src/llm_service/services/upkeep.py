"""What a running service looks after by itself: providers, alerts, issuers' keys, corrected estimates, old answers."""

from collections.abc import Awaitable, Callable
from typing import Final

from llm_service.alerts import Watch
from llm_service.domain import LedgerUnavailable
from llm_service.observability import Log
from llm_service.runtime import Clock, Tasks
from llm_service.services.corrections import Corrections, corrected_object
from llm_service.services.issuers.tokens import Tokens
from llm_service.services.provider_probes import ProviderProbes
from llm_service.storage import ReplayStore, StoreUnavailable

CORRECT_S: Final = 600.0
REMOVE_S: Final = 600.0
REMOVED_AT_ONCE: Final = 20
"""Answers in one transaction: others wait for it, and SQLite takes some 5 ms to remove a megabyte."""


class Upkeep:
    """Works in the background from ``start`` on, until the tasks' owner ends it.

    ``watch``: over alerts, in the one process of a machine that looks at them. ``issuers``: of tokens, if any.
    """

    def __init__(
        self,
        probes: ProviderProbes,
        corrections: Corrections,
        replays: ReplayStore,
        watch: Watch | None = None,
        *,
        issuers: Tokens | None = None,
        tasks: Tasks,
        clock: Clock,
        log: Log,
    ) -> None:
        self._probes = probes
        self._corrections = corrections
        self._replays = replays
        self._watch = watch
        self._issuers = issuers
        self._tasks = tasks
        self._clock = clock
        self._log = log

    def start(self) -> None:
        """Ask providers whenever something is due; correct estimates, remove answers every ten minutes."""
        self._probes.start()
        if self._watch is not None:
            self._watch.start()
        if self._issuers is not None:
            self._issuers.start()
        self._tasks.spawn(self._later(CORRECT_S, self._correct, name="corrections"), name="corrections")
        self._tasks.spawn(self._later(REMOVE_S, self._remove_replays, name="replays"), name="replays")

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
