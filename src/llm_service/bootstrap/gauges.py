"""The figures that are known under one generation of the settings: of its providers, breakers and budgets."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

from llm_service.admission import Rules
from llm_service.bootstrap.ground import Ground
from llm_service.bootstrap.provider_parts import ProviderParts
from llm_service.bootstrap.stores import span_of
from llm_service.domain import Candidate, Limit
from llm_service.observability import Reading, SlowSource, Source, catalog
from llm_service.routing import way_of
from llm_service.services import Standing
from llm_service.storage import StoreUnavailable

SPENT_S: Final = 60.0
"""How often the ledger is asked what was spent of the configured budgets."""
STATES: Final = {"closed": 0.0, "limited": 1.0, "half_open": 1.0, "open": 2.0}


class ServiceGauges:
    """Sources for the sampler."""

    def __init__(
        self,
        ground: Ground,
        parts: ProviderParts,
        rules: Rules,
        standing: Standing | None,
        *,
        leads: bool,
        also: Sequence[Source] = (),
    ) -> None:
        """``leads``: of all processes this one asks for what all would be told alike. ``also``: further sources."""
        self._ground = ground
        self._parts = parts
        self._rules = rules
        self._generation = 1 if standing is None else standing.generation
        self._leads = leads
        self._also = tuple(also)
        self._configured = {
            way_of(one).candidate for model in ground.settings.models.values() for one in model.deployments
        }
        self._spent_at = float("-inf")
        self._drift: Sequence[Reading] = ()

    def sources(self) -> Sequence[Source]:
        """Those that answer at once."""
        return (self.of_places, self.of_breakers, *self._also)

    def slow(self) -> Sequence[SlowSource]:
        """Those that ask others, or take longer."""
        return (self.of_providers, self.of_budgets) if self._leads else (self.of_providers,)

    def of_places(self) -> Iterable[Reading]:
        """What runs at the providers, and waits for a place there; and by which settings."""
        fleet = self._ground.stores.fleet
        yield catalog.CONFIG_GENERATION, (), float(self._generation)
        for name in self._parts.providers:
            home = fleet.home(name)
            yield catalog.PROVIDER_IN_FLIGHT, (name,), float(home.in_flight)
            yield catalog.PROVIDER_WAITING, (name,), float(home.bulkhead.waiting)

    def of_breakers(self) -> Iterable[Reading]:
        """Every configured deployment's, and of others those that are tripped."""
        found = dict.fromkeys(map(self._labels, self._configured), 0.0)
        for candidate, state in self._ground.stores.breakers.tripped():
            labels = self._labels(candidate)
            found[labels] = max(found.get(labels, 0.0), STATES[state])
        return [(catalog.BREAKER_STATE, labels, value) for labels, value in found.items()]

    async def of_providers(self) -> Iterable[Reading]:
        """Whether they answer, and what is left of the credit there."""
        found: list[Reading] = []
        for name in self._parts.providers:
            up = self._parts.states.state_of(name) != "disabled" and not self._parts.health.is_down(name)
            found.append((catalog.PROVIDER_UP, (name,), float(up)))
            news = self._ground.stores.news.last(name, "account")
            if news is not None and news.balance is not None and news.currency in (None, "USD"):
                found.append((catalog.PROVIDER_BALANCE, (name,), float(news.balance)))
        return found

    async def of_budgets(self) -> Iterable[Reading]:
        """How much of the configured budgets is used, and what the ledger says of that."""
        limits = [limit for limit in self._rules.configured() if limit.kind == "money"]
        if not limits:
            return ()
        gate = self._ground.stores.gate
        states = await gate.read(limits)
        shares: dict[str, float] = {}
        for state in states:
            if state.used is not None and state.limit.amount:
                share = state.used / state.limit.amount
                shares[state.limit.scope] = max(shares.get(state.limit.scope, 0.0), share)
        if gate.local:  # it counts by itself, on a share of what was left
            self._drift = ()
        elif self._ground.clock.monotonic() - self._spent_at >= SPENT_S:
            self._spent_at = self._ground.clock.monotonic()
            await self._compare([(state.limit, state.used) for state in states if state.used is not None])
        return [*((catalog.BUDGET_USED, (scope,), share) for scope, share in shares.items()), *self._drift]

    async def _compare(self, counted: Sequence[tuple[Limit, int]]) -> None:
        """What the limit store has of a budget beyond what the ledger has, or lacks; of the one where that is most."""
        worst: int | None = None
        with suppress(StoreUnavailable):  # which llm_store_up tells
            for limit, used in counted:
                since, until = span_of(limit)
                recorded, _ = await self._ground.stores.database.ledger.spent(
                    limit.scope, limit.subject, since=since, until=until
                )
                drift = used - recorded
                worst = drift if worst is None else max(worst, drift, key=abs)
        self._drift = () if worst is None else ((catalog.LIMIT_DRIFT, (), worst * 1e-9),)

    def _labels(self, candidate: Candidate) -> tuple[str, str]:
        """Callers may invent names of models: what nobody knows is `other`."""
        known = candidate in self._configured or self._parts.models.told(candidate.provider, candidate.upstream_model)
        return candidate.provider, candidate.upstream_model if known else "other"
