"""Providers as the services mind them, put together by hand: what they answer and how traffic fares is scripted."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, cast

from llm_service.domain import LLMServiceError, ModelInfo
from llm_service.providers import Account, Provider
from llm_service.routing import ProviderFigures
from llm_service.runtime import Tasks
from llm_service.services import (
    CatalogueShelf,
    Models,
    ProviderAdmin,
    ProviderHealth,
    ProviderNews,
    ProviderOverrides,
    ProviderProbes,
    ProviderRunning,
    ProviderStates,
    Site,
)
from tests.support.clock import ManualClock
from tests.support.memory_keys import MemoryBulletin, MemoryFacts
from tests.support.service import LogLines

INFO = ModelInfo(id="m", owned_by="o")


@dataclass
class ScriptedProvider:
    """Says what it is told to, and counts who asks."""

    name: str
    says: Sequence[ModelInfo] | LLMServiceError = (INFO,)
    has: Account | LLMServiceError = field(default_factory=lambda: Account(usable=True))
    tells_account: bool = True
    asked: list[str] = field(default_factory=list)

    async def catalogue(self) -> bytes:
        self.asked.append("catalogue")
        if isinstance(self.says, LLMServiceError):
            raise self.says
        return b'{"data": []}'

    def models(self, catalogue: bytes) -> Sequence[ModelInfo]:
        return () if isinstance(self.says, LLMServiceError) else self.says

    async def account(self) -> Account:
        self.asked.append("account")
        if isinstance(self.has, LLMServiceError):
            raise self.has
        return self.has


class ScriptedFigures:
    """How live traffic fares: nothing happens unless a test says so."""

    def __init__(self) -> None:
        self.by_provider: dict[str, ProviderFigures] = {}

    def figures(self, provider: str, now: float) -> ProviderFigures:
        return self.by_provider.get(provider, ProviderFigures())


class Desk:
    """One process that minds providers. ``beside``: another one of the same deployment."""

    def __init__(
        self,
        *providers: ScriptedProvider,
        enabled: dict[str, bool] | None = None,
        folder: Path | None = None,
        beside: "Desk | None" = None,
        alone: bool = True,
        sees_all: bool = True,
    ) -> None:
        self.clock = ManualClock() if beside is None else beside.clock
        self.facts = MemoryFacts() if beside is None else beside.facts
        self.bulletin = MemoryBulletin() if beside is None else beside.bulletin
        self.log: Any = LogLines()
        self.failures: list[BaseException] = []
        self.tasks = Tasks(lambda _, failure: self.failures.append(failure))
        self.providers = {provider.name: provider for provider in providers}
        self.measures = ScriptedFigures()
        self.overrides = ProviderOverrides(
            self.facts, bulletin=self.bulletin, clock=self.clock, tasks=self.tasks, log=self.log
        )
        self.states = ProviderStates(dict.fromkeys(self.providers, True) | (enabled or {}), self.overrides)
        self.news = ProviderNews(bulletin=self.bulletin, clock=self.clock, log=self.log)
        as_providers = cast("dict[str, Provider]", self.providers)
        addresses = {name: f"http://127.0.0.1:1/{name}" for name in self.providers}
        self.models = Models(
            providers=as_providers,
            named={},
            aliases={},
            clock=self.clock,
            log=self.log,
            state_of=self.states.state_of,
            shelf=None if folder is None else CatalogueShelf(folder, addresses, self.log),
        )
        kinds = dict.fromkeys(self.providers, "openai_compatible")
        self.health = ProviderHealth(
            kinds,
            self.states,
            self.news,
            running=ProviderRunning(
                self.bulletin,
                holder=f"process {id(self)}",
                alone=alone,
                clock=self.clock,
                log=self.log,
                sees_all=sees_all,
            ),
            measures=self.measures,
            clock=self.clock,
            log=self.log,
        )
        self.probes = ProviderProbes(
            as_providers,
            models=self.models,
            states=self.states,
            news=self.news,
            health=self.health,
            leads=beside is None,
            clock=self.clock,
            dice=Random(7 if beside is None else 8),
            tasks=self.tasks,
            log=self.log,
        )
        sites = {name: Site(base_url=url, usual_url=None, has_key=True) for name, url in addresses.items()}
        self.admin = ProviderAdmin(
            as_providers, sites, states=self.states, health=self.health, models=self.models, clock=self.clock
        )
