"""Builds what minds the providers: their states, catalogues, health, and whoever asks them from time to time."""

from collections.abc import Mapping
from typing import Final

from llm_service.bootstrap.ground import Ground
from llm_service.bootstrap.providers import build_aliases, build_providers, build_site
from llm_service.domain import fact
from llm_service.providers import Provider
from llm_service.runtime import OnFailure
from llm_service.services import (
    CatalogueShelf,
    Models,
    ProviderAdmin,
    ProviderHealth,
    ProviderProbes,
    ProviderStates,
)

CATALOGUES: Final = "catalogues"
"""The folder of the last good copies, in the data directory."""


@fact
class ProviderParts:
    """The providers under one generation of the settings, and what minds them."""

    providers: Mapping[str, Provider]
    states: ProviderStates
    models: Models
    health: ProviderHealth
    probes: ProviderProbes
    admin: ProviderAdmin

    async def aclose(self) -> None:
        """Close the connections."""
        self.states.close()
        for provider in self.providers.values():
            await provider.aclose()


def build_provider_parts(ground: Ground, *, on_failure: OnFailure, leads: bool) -> ProviderParts:
    """All of it; ``leads``: see `ProviderProbes`. Attempts without content leave a provider that is switched off."""
    settings, stores, clock, log = ground.settings, ground.stores, ground.clock, ground.log
    fleet = stores.fleet
    providers = build_providers(settings, clock=clock, on_failure=on_failure)
    sites = {name: build_site(name, options) for name, options in settings.providers.items()}
    states = ProviderStates({name: one.enabled for name, one in settings.providers.items()}, stores.overrides)
    states.on_change(lambda name, state: fleet.call_off(name) if state == "disabled" else None)
    addresses = {name: site.base_url for name, site in sites.items()}
    models = Models(
        providers=providers,
        named=settings.models,
        aliases=build_aliases(settings.providers),
        clock=clock,
        log=log,
        state_of=states.state_of,
        shelf=CatalogueShelf(stores.data_dir / CATALOGUES, addresses, log),
    )
    kinds = {name: options.kind or "openai_compatible" for name, options in settings.providers.items()}
    health = ProviderHealth(kinds, states, stores.news, running=stores.running, measures=fleet, clock=clock, log=log)
    probes = ProviderProbes(
        providers,
        models=models,
        states=states,
        news=stores.news,
        health=health,
        leads=leads,
        clock=clock,
        dice=ground.dice,
        tasks=ground.tasks,
        log=log,
    )
    admin = ProviderAdmin(providers, sites, states=states, health=health, models=models, clock=clock)
    return ProviderParts(providers=providers, states=states, models=models, health=health, probes=probes, admin=admin)
