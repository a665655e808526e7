"""The configured providers, for whoever administrates the service: how they are, on, off or drained, and tried."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from llm_service.domain import Body, NotFound, ProviderState, fact
from llm_service.providers import Provider
from llm_service.runtime import Clock
from llm_service.services.database import database_needed
from llm_service.services.diagnosis import Site
from llm_service.services.models import Models
from llm_service.services.provider_health import ProviderHealth, ProviderReport, health_object
from llm_service.services.provider_overrides import Override
from llm_service.services.provider_states import ProviderStates, decided, override_object
from llm_service.services.provider_trial import Trial, tried

LONGEST_SHOWN: Final = 16
AWAY: Final = "The provider cannot be changed now: the database does not answer."


@fact
class ProviderSeen:
    """One provider."""

    name: str
    base_url: str
    state: ProviderState
    configured: ProviderState
    override: Override | None
    models: int | None
    health: ProviderReport


class ProviderAdmin:
    """What can be seen and done of providers. ``sites``: where they are."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        sites: Mapping[str, Site],
        *,
        states: ProviderStates,
        health: ProviderHealth,
        models: Models,
        clock: Clock,
    ) -> None:
        self._providers = providers
        self._sites = sites
        self._states = states
        self._health = health
        self._models = models
        self._clock = clock

    def list(self) -> Sequence[ProviderSeen]:
        """All of them, in the order of the configuration."""
        return [self.get(name) for name in self._providers]

    def get(self, name: str) -> ProviderSeen:
        """One of them. Raises NotFound."""
        self._find(name)
        return ProviderSeen(
            name=name,
            base_url=self._sites[name].base_url,
            state=self._states.state_of(name),
            configured=self._states.configured(name),
            override=self._states.override_of(name),
            models=self._models.count(name),
            health=self._health.report(name),
        )

    async def change(self, name: str, body: Body) -> ProviderSeen:
        """Switch one on or off, or drain it: in force here when this returns, everywhere within a second.

        Raises NotFound, InvalidValue, and LedgerUnavailable while the database does not answer.
        """
        self._find(name)
        with database_needed(AWAY):
            await self._states.catch_up()
            await self._states.put(name, decided(body, self._states.override_of(name)))
        return self.get(name)

    async def test(self, name: str) -> Trial:
        """Ask its catalogue and its account, whatever its state; costs nothing. Raises NotFound."""
        return await tried(self._find(name), self._sites[name], self._clock)

    def _find(self, name: str) -> Provider:
        provider = self._providers.get(name)
        if provider is None:
            known = ", ".join(self._providers) or "none"
            said = f"`{name}`" if len(name) <= LONGEST_SHOWN else "so"  # it may be a key, in the wrong place
            raise NotFound(f"No provider is named {said}; configured are: {known}.")
        return provider


def provider_object(seen: ProviderSeen) -> dict[str, Any]:
    """A provider as the interface shows it."""
    health = health_object(seen.health)
    return {
        "name": seen.name,
        "kind": health.pop("kind"),
        "base_url": seen.base_url,
        "state": seen.state,
        "configured": seen.configured,
        "override": override_object(seen.override),
        "running": seen.health.running,
        "drained": seen.health.drained,
        "models": seen.models,
        "health": health,
    }
