"""What still runs of providers that are being drained, in all processes: each tells the others while it matters."""

from typing import Any, Final

import orjson

from llm_service.observability import Log
from llm_service.runtime import Clock
from llm_service.storage import Bulletin, StoreUnavailable

RUNNING_TOPIC: Final = "provider-running"
TOLD_S: Final = 1.0
"""How often a process tells."""
STALE_S: Final = 3.0
"""What was told longer ago does not count: that process has nothing more to tell, or is gone."""


class ProviderRunning:
    """Requests that run elsewhere, by provider. ``holder`` names this process; ``alone``: there are no others.

    ``sees_all``: whoever reads the same database is heard; otherwise other machines may be at it, and nobody knows.
    """

    def __init__(
        self, bulletin: Bulletin, *, holder: str, alone: bool, clock: Clock, log: Log, sees_all: bool = True
    ) -> None:
        self._bulletin = bulletin
        self._holder = holder
        self._clock = clock
        self._log = log
        self._told: dict[tuple[str, str], tuple[int, float]] = {}
        self.alone = alone
        self.sees_all = sees_all
        if not alone:
            bulletin.listen(RUNNING_TOPIC, self._hear)

    def elsewhere(self, provider: str) -> int:
        """How many were told of by the other processes, as far as that is recent."""
        if not self._told:
            return 0
        since = self._clock.monotonic() - STALE_S
        self._told = {which: told for which, told in self._told.items() if told[1] > since}
        return sum(told[0] for which, told in self._told.items() if which[0] == provider)

    async def tell(self, provider: str, running: int) -> None:
        """Let the others know, as far as they can be reached."""
        if self.alone:
            return
        text = orjson.dumps({"provider": provider, "holder": self._holder, "running": running}).decode()
        try:
            await self._bulletin.publish(RUNNING_TOPIC, text)
        except StoreUnavailable as away:
            self._log.debug("what runs of a provider is not told", provider=provider, cause=str(away))

    def _hear(self, text: str) -> None:
        try:
            told: dict[str, Any] = orjson.loads(text)
            provider, holder, running = str(told["provider"]), str(told["holder"]), int(told["running"])
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as garbage:
            self._log.debug("what runs of a provider is not understood", cause=str(garbage))
            return
        if holder != self._holder:
            self._told[provider, holder] = running, self._clock.monotonic()
