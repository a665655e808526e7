"""Asks providers' free endpoints from time to time: the catalogue hourly, the account every five minutes."""

import random
from collections.abc import Mapping
from typing import Final

from llm_service.domain import LLMServiceError
from llm_service.observability import Log
from llm_service.providers import Provider
from llm_service.runtime import Clock, Tasks
from llm_service.services.models import Models
from llm_service.services.provider_health import ProviderHealth
from llm_service.services.provider_news import Endpoint, ProviderNews, answered, failed
from llm_service.services.provider_running import TOLD_S
from llm_service.services.provider_states import ProviderStates

CATALOGUE_S: Final = 3600.0
ACCOUNT_S: Final = 300.0
DOWN_S: Final = 60.0
"""How soon one that was found down, or what failed, is asked again."""
LOOK_S: Final = 5.0
"""How often it is seen what is due."""
FOLLOW_S: Final = 1.0
"""How much later than the leading process of a machine the others begin: to hear what it was told."""
JITTER: Final = 0.1
SAME_MOMENT_S: Final = 2.0
"""Between an answer of a provider and what is told and kept of it."""


class ProviderProbes:
    """Asks in the background from ``start`` on. What one process was told counts for all that hear of it.

    ``leads``: among the processes of this machine it asks at once, and the others a moment later, if need be. Providers
    that are switched off are left alone. Never costs money.
    """

    def __init__(
        self,
        providers: Mapping[str, Provider],
        *,
        models: Models,
        states: ProviderStates,
        news: ProviderNews,
        health: ProviderHealth,
        leads: bool,
        clock: Clock,
        dice: random.Random,
        tasks: Tasks,
        log: Log,
    ) -> None:
        self._providers = providers
        self._models = models
        self._states = states
        self._news = news
        self._health = health
        self._leads = leads
        self._clock = clock
        self._dice = dice
        self._tasks = tasks
        self._log = log
        self._patience: dict[tuple[str, Endpoint], float] = {}
        self._started_at = clock.time()

    def start(self) -> None:
        """Ask now, and whenever something is due, until the tasks' owner ends it."""
        self._started_at = self._clock.time()
        for name in self._providers:
            self._tasks.spawn(self._mind(name), name=f"probes of {name}")
        self._tasks.spawn(self._notice(), name="health of providers")

    async def ask(self, name: str, endpoint: Endpoint) -> LLMServiceError | None:
        """Ask one endpoint now; why it failed, if it did."""
        before = self._news.last(name, endpoint)
        account, error = None, None
        if endpoint == "catalogue":
            error = await self._models.refresh(name)
        else:
            try:
                account = await self._providers[name].account()
            except LLMServiceError as failure:
                error = failure
        at = self._clock.time()
        told = answered(account, at=at, before=before) if error is None else failed(error, at=at, before=before)
        await self._news.tell(name, endpoint, told)
        return error

    async def _mind(self, name: str) -> None:
        if not self._leads:
            await self._models.borrow(name, since=0.0)  # better than to know nothing until then
            await self._clock.sleep(self._dice.uniform(FOLLOW_S, 2 * FOLLOW_S))
        while True:
            try:
                await self._look(name)
            except Exception as defect:  # noqa: BLE001 - it is told, and must not end the work for good
                self._log.error("a provider cannot be looked at", provider=name, exc_info=defect)
            await self._clock.sleep(self._around(LOOK_S))

    async def _look(self, name: str) -> None:
        if self._states.state_of(name) == "disabled":
            return
        endpoints: tuple[Endpoint, ...] = ("catalogue", "account")
        for endpoint in endpoints if self._providers[name].tells_account else endpoints[:1]:
            if self._is_due(name, endpoint):
                self._patience[name, endpoint] = self._around(1.0)
                if endpoint == "account" or not await self._is_borrowed(name):
                    await self.ask(name, endpoint)

    def _is_due(self, name: str, endpoint: Endpoint) -> bool:
        last = self._news.last(name, endpoint)
        at = None if last is None else last.at
        if endpoint == "catalogue" and (last is None or last.code is None):
            at = self._models.told_at(name)  # what another process was told does not make this one know it
        if at is None or at < self._started_at - SAME_MOMENT_S:
            return True
        usual_s = CATALOGUE_S if endpoint == "catalogue" else ACCOUNT_S
        is_failing = last is not None and last.code is not None
        pause_s = DOWN_S if is_failing or self._health.is_down(name) else usual_s
        return self._clock.time() - at >= pause_s * self._patience.get((name, endpoint), 1.0)

    async def _is_borrowed(self, name: str) -> bool:
        """Whether the catalogue that another process was told meanwhile is at hand."""
        last = self._news.last(name, "catalogue")
        if last is None or last.code is not None or last.at < self._started_at - SAME_MOMENT_S:
            return False
        known_at = self._models.told_at(name)
        if known_at is not None and last.at <= known_at + SAME_MOMENT_S:
            return False
        return await self._models.borrow(name, since=last.at - SAME_MOMENT_S)

    def _around(self, figure: float) -> float:
        return figure * self._dice.uniform(1 - JITTER, 1 + JITTER)

    async def _notice(self) -> None:
        while True:
            await self._clock.sleep(TOLD_S)
            try:
                self._health.notice()
                await self._health.tell_running()
            except Exception as defect:  # noqa: BLE001 - as above
                self._log.error("the health of providers cannot be seen", exc_info=defect)
