"""Builds what tells of the service while it happens, and connects it to whatever happens."""

from llm_service.domain import fact_in_order
from llm_service.observability import Log, MetricsSource
from llm_service.routing import Breaker, Breakers
from llm_service.runtime import Clock, Tasks
from llm_service.services import Events, MetricsHistory, News, ProviderNews, ProviderOverrides
from llm_service.storage import Bulletin, StoreUnavailable, ValkeyClient


@fact_in_order
class Live:
    """Lasts as long as the process: events, and the last hour of its figures."""

    events: Events
    history: MetricsHistory


def build_live(
    source: MetricsSource,
    *,
    bulletin: Bulletin | None,
    process: str,
    worker: int | None,
    clock: Clock,
    tasks: Tasks,
    log: Log,
) -> Live:
    """Both, listening to other processes. ``bulletin``: ``None`` where this process is alone."""
    history = MetricsHistory(source, bulletin=bulletin, clock=clock, tasks=tasks, log=log)
    events = Events(history, bulletin=bulletin, process=process, worker=worker, clock=clock, tasks=tasks, log=log)
    history.start()
    events.start()
    return Live(events, history)


def tell_of_stores(events: Events, shared: ValkeyClient | None, overrides: ProviderOverrides) -> None:
    """Have it tell when a store is lost, and when it is back. Each process sees that by itself."""

    def limits(up: bool) -> None:  # noqa: FBT001 - the store says so
        cause = None if shared is None or up else shared.state.cause
        events.tell_here("store", {"store": "limits", "up": up, "cause": cause})

    def database(away: StoreUnavailable | None) -> None:
        cause = None if away is None else str(away)
        events.tell_here("store", {"store": "database", "up": away is None, "cause": cause})

    if shared is not None:
        shared.on_change(limits)
    overrides.on_reach(database)


def tell_of_providers(events: Events, breakers: Breakers, news: ProviderNews) -> None:
    """Have it tell of breakers, which the process that opens them knows, and of news, which all processes hear."""

    def changed(breaker: Breaker) -> None:
        told = {"provider": breaker.candidate.provider, "upstream_model": breaker.candidate.upstream_model}
        opened = {"state": "open", "cause": breaker.cause, "for_s": round(breaker.pause_s, 3)}
        events.tell("breaker", {**told, **(opened if breaker.broken else {"state": "closed", "cause": None})})

    def heard(provider: str, endpoint: str, told: News) -> None:
        standing = {"usable": told.code is None and told.usable, "code": told.code, "cause": told.cause}
        events.tell_here("provider", {"provider": provider, "change": endpoint, **standing})

    breakers.on_change(changed)
    news.on_change(heard)
