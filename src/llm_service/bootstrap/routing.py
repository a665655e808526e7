"""Builds what chooses deployments, and what asks them."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from llm_service.bootstrap.gauges import ServiceGauges
from llm_service.bootstrap.ground import Ground
from llm_service.bootstrap.providers import build_aliases
from llm_service.bootstrap.stores import Stores
from llm_service.config import Settings
from llm_service.domain import Candidate, ModelInfo, ModelNotFound
from llm_service.pipeline import Accounts, CallParts, Hedges, Resolver, TripParts
from llm_service.prices import Ceiling
from llm_service.providers import Provider
from llm_service.routing import Places, Ranking, way_of

MOST_STRANGE: Final = 1024
"""Names of models that no settings give, and that callers ask for; what they lead to is remembered."""


def hold_to(settings: Settings, stores: Stores, gauges: ServiceGauges) -> None:
    """Let what all generations of the settings share go by these from now on."""
    routing = settings.routing
    stores.fleet.configure(routing, places_of(settings))
    stores.breakers.configure(routing.breaker, groups_of(settings))
    stores.hedging.options = routing.hedge
    stores.metering.sampler.of_service = gauges.sources()
    stores.metering.sampler.slow_of_service = gauges.slow()


def build_knows(
    settings: Settings, resolver: Resolver, told: Callable[[str, str], ModelInfo | None]
) -> Callable[[str], bool]:
    """Whether a model has a name that the settings give, or that a provider's catalogue has."""
    named = {*settings.models, *build_aliases(settings.providers)}
    deployed = {way_of(one).candidate for model in settings.models.values() for one in model.deployments}

    @lru_cache(MOST_STRANGE)
    def by_settings(model: str) -> bool | tuple[Candidate, ...]:
        """Whether the settings give the name; else what it leads to: whether a catalogue has that, may change."""
        if model in named:
            return True
        try:
            candidates = resolver.candidates(model)
        except ModelNotFound:
            return False
        return any(one in deployed for one in candidates) or candidates

    def knows(model: str) -> bool:
        found = by_settings(model)
        if isinstance(found, bool):
            return found
        for one in found:  # noqa: SIM110 - a generator for one look costs twice as much
            if told(one.provider, one.upstream_model) is not None:
                return True
        return False

    return knows


def build_ranking(
    ground: Ground,
    accounts: Accounts,
    known: Callable[[str, str], ModelInfo | None],
    *,
    is_on: Callable[[str], bool],
) -> Ranking:
    """What orders the deployments of a model."""

    def ceiling(candidate: Candidate) -> Ceiling | None:
        price = accounts.price(candidate)
        return None if price is None else price.ceiling(ground.clock.now())

    return Ranking(
        known=known,
        price=ceiling,
        is_on=is_on,
        clock=ground.clock,
        dice=ground.dice,
    )


def build_hedges(ground: Ground, accounts: Accounts, ranking: Ranking) -> Hedges | None:
    """What begins second attempts, where that is wanted."""
    if not ground.settings.routing.hedge.enabled:
        return None
    return Hedges(
        ground.stores.hedging,
        admission=accounts.admission,
        price=ranking.price,
        clock=ground.clock,
        tasks=ground.tasks,
    )


def groups_of(settings: Settings) -> Callable[[Candidate], Sequence[Sequence[Candidate]]]:
    """For each model that a deployment serves, all deployments of that model."""
    groups: dict[Candidate, list[Sequence[Candidate]]] = {}
    for model in settings.models.values():
        group = [way_of(options).candidate for options in model.deployments]
        for candidate in group:
            groups.setdefault(candidate, []).append(group)
    return lambda candidate: groups.get(candidate, ())


def places_of(settings: Settings) -> Mapping[str, Places]:
    """How many requests at once each provider is sent."""
    return {
        name: Places(
            max_concurrency=options.max_concurrency,
            max_waiting=options.max_waiting,
            max_wait_s=options.max_wait_s,
            adaptive=options.adaptive_concurrency,
        )
        for name, options in settings.providers.items()
    }


def build_call(ground: Ground, providers: Mapping[str, Provider], accounts: Accounts, ranking: Ranking) -> CallParts:
    """What asks deployments until one answers."""
    configured = ground.settings.providers.items()
    retries = {name: options.max_retries for name, options in configured}
    totals_s = {name: options.timeouts.total_s for name, options in configured}
    trip = TripParts(
        admission=accounts.admission,
        ranking=ranking,
        options=ground.settings.routing,
        max_retries=retries.__getitem__,
        total_s=totals_s.__getitem__,
        clock=ground.clock,
        dice=ground.dice,
    )
    return CallParts(
        providers=providers,
        trip=trip,
        is_on=ranking.is_on,
        claim=ground.stores.breakers.claim,
        hedges=build_hedges(ground, accounts, ranking),
        clock=ground.clock,
        log=ground.log,
    )
