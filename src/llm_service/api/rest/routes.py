"""Every address of the REST surface, in one table."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Final, Literal

from starlette.requests import Request
from starlette.responses import Response

from llm_service.api.dashboard.pages import DashboardPages
from llm_service.api.dashboard.session import LETS_IN, Offers, SessionRoutes
from llm_service.api.rest.alerts import AlertRoutes
from llm_service.api.rest.audit import AuditRoutes
from llm_service.api.rest.cache import CacheRoutes
from llm_service.api.rest.configuration import ConfigRoutes
from llm_service.api.rest.docs import DocsRoutes
from llm_service.api.rest.explain import ExplainRoutes
from llm_service.api.rest.health import HealthRoutes
from llm_service.api.rest.keys import KeyRoutes
from llm_service.api.rest.limits import LimitRoutes
from llm_service.api.rest.live import LiveRoutes
from llm_service.api.rest.metrics import MetricsRoutes
from llm_service.api.rest.models import ModelRoutes
from llm_service.api.rest.providers import ProviderRoutes
from llm_service.api.rest.streams import StreamRoutes
from llm_service.api.rest.usage import UsageRoutes
from llm_service.domain import (
    Body,
    ModelRequest,
    Scope,
    chat_request,
    completion_request,
    embedding_request,
    fact_in_order,
)

Access = Scope | tuple[Scope, ...] | Literal["open"]
Method = Literal["GET", "POST", "PATCH", "DELETE"]
Handler = Callable[[Request], Awaitable[Response]]

HOT_ROUTES: Final[Mapping[str, Callable[[Body, int], ModelRequest]]] = MappingProxyType(
    {
        "/v1/chat/completions": chat_request,
        "/v1/completions": completion_request,
        "/v1/embeddings": embedding_request,
    }
)
"""``POST`` only; a trailing slash and the paths without ``/v1`` work too."""

ANY_SCOPE: Final[tuple[Scope, ...]] = ("inference", "read", "admin")
READS_USAGE: Final[tuple[Scope, ...]] = ("read", "admin")
SOCKET_PATHS: Final = frozenset({"/v1/ws"})
OPERATORS_PATHS: Final = ("/admin", "/dashboard", "/metrics")
"""What these begin is for operators: it moves to ``server.admin_port``, where there is one."""
RESERVED_PATHS: Final = frozenset({"/v1/responses", "/v1/messages", "/v1/messages/count_tokens"})


@fact_in_order
class Route:
    """One address and method. GET answers HEAD.

    ``access``: the scope that a caller needs, several of which one is enough, or ``open`` to everybody.
    """

    path: str
    handler: Handler
    access: Access
    method: Method = "GET"

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """Of which a caller needs one; none where the route is open."""
        if self.access == "open":
            return ()
        return self.access if isinstance(self.access, tuple) else (self.access,)

    @property
    def for_operators(self) -> bool:
        """Whether it is no part of what callers ask."""
        return any(self.path == path or self.path.startswith(f"{path}/") for path in OPERATORS_PATHS)


def control_routes(
    models: ModelRoutes,
    health: HealthRoutes,
    docs: DocsRoutes,
    config: ConfigRoutes,
    keys: KeyRoutes | None = None,
    usage: UsageRoutes | None = None,
    limits: LimitRoutes | None = None,
    streams: StreamRoutes | None = None,
    cache: CacheRoutes | None = None,
    providers: ProviderRoutes | None = None,
    explain: ExplainRoutes | None = None,
    metrics: MetricsRoutes | None = None,
    live: LiveRoutes | None = None,
    alerts: AlertRoutes | None = None,
    audit: AuditRoutes | None = None,
    sessions: SessionRoutes | None = None,
) -> tuple[Route, ...]:
    """The routes beside the hot ones, the first match first; ``None`` where nothing keeps what they tell of."""
    routes = (
        Route("/v1/models", models.list, "inference"),
        Route("/v1/models/{id:path}", models.get, "inference"),
        Route("/models", models.list, "inference"),
        Route("/models/{id:path}", models.get, "inference"),
        Route("/health", health.report, "open"),
        Route("/health/live", health.live, "open"),
        Route("/health/liveness", health.live, "open"),
        Route("/health/liveliness", health.live, "open"),
        Route("/healthz", health.live, "open"),
        Route("/health/ready", health.ready, "open"),
        Route("/health/readiness", health.ready, "open"),
        Route("/readyz", health.ready, "open"),
        Route("/", docs.index, "read"),
        Route("/docs", docs.page, "read"),
        Route("/docs/{name}", docs.file, "read"),
        Route("/openapi.json", docs.openapi, "read"),
        Route("/admin/config", config.get, "admin"),
        Route("/admin/config", config.change, "admin", "PATCH"),
        Route("/admin/config/reload", config.reload, "admin", "POST"),
        *(stream_routes(streams) if streams is not None else ()),
        *(key_routes(keys) if keys is not None else ()),
        *(usage_routes(usage) if usage is not None else ()),
        *((Route("/admin/limits", limits.list, "admin"),) if limits is not None else ()),
        *(cache_routes(cache) if cache is not None else ()),
        *(provider_routes(providers) if providers is not None else ()),
        *(explain_routes(explain) if explain is not None else ()),
        *(alert_routes(alerts) if alerts is not None else ()),
        *((Route("/admin/audit", audit.page, "admin"),) if audit is not None else ()),
        *((Route("/metrics", metrics.text, metrics.access),) if metrics is not None else ()),
        *(live_routes(live) if live is not None else ()),
    )
    return (*routes, *(dashboard_routes(sessions, offers_of(routes)) if sessions is not None else ()))


def dashboard_routes(sessions: SessionRoutes, offers: Offers) -> tuple[Route, ...]:
    """The dashboard, which asks nothing but these ``offers``: its files are open, and tell nothing."""
    pages = DashboardPages()
    return (
        Route("/dashboard", pages.page, "open"),
        Route("/dashboard/session", partial(sessions.tell, offers=offers), "open"),
        Route("/dashboard/session", partial(sessions.open, offers=offers), "open", "POST"),
        Route("/dashboard/session", sessions.close, LETS_IN, "DELETE"),
        Route("/dashboard/{name}", pages.file, "open"),
    )


def offers_of(routes: Sequence[Route]) -> Offers:
    """What there is to be asked, by method and path, with the scopes of which one is needed."""
    hot: dict[str, tuple[Scope, ...]] = {f"POST {path}": ("inference",) for path in HOT_ROUTES}
    return hot | {f"{route.method} {route.path}": route.scopes for route in routes}


def provider_routes(providers: ProviderRoutes) -> tuple[Route, ...]:
    """The administration of providers."""
    return (
        Route("/admin/providers", providers.list, "admin"),
        Route("/admin/providers/{name}", providers.get, "admin"),
        Route("/admin/providers/{name}", providers.update, "admin", "PATCH"),
        Route("/admin/providers/{name}/test", providers.test, "admin", "POST"),
    )


def live_routes(live: LiveRoutes) -> tuple[Route, ...]:
    """What happens now. Events tell of requests what their records tell as well, so whoever reads those may listen."""
    return (
        Route("/admin/metrics", live.metrics, READS_USAGE),
        Route("/admin/events", live.events, READS_USAGE),
    )


def alert_routes(alerts: AlertRoutes) -> tuple[Route, ...]:
    """What fires and what happened, of which events tell as well, and for admins alone: who is told of it."""
    return (
        Route("/admin/alerts", alerts.list, READS_USAGE),
        Route("/admin/alerts/history", alerts.history, READS_USAGE),
        Route("/admin/alerts/silences", alerts.silences, "admin"),
        Route("/admin/alerts/silences", alerts.silence, "admin", "POST"),
        Route("/admin/alerts/silences/{id}", alerts.end_silence, "admin", "DELETE"),
        Route("/admin/alerts/{rule}/test", alerts.test, "admin", "POST"),
    )


def explain_routes(explain: ExplainRoutes) -> tuple[Route, ...]:
    """What would become of a request, for those who could send it."""
    return (
        Route("/v1/explain", explain.explain, "inference", "POST"),
        Route("/explain", explain.explain, "inference", "POST"),
    )


def cache_routes(cache: CacheRoutes) -> tuple[Route, ...]:
    """The response cache: looked at by those who may read, purged by admins."""
    return (
        Route("/admin/cache", cache.stats, READS_USAGE),
        Route("/admin/cache", cache.purge, "admin", "DELETE"),
    )


def stream_routes(streams: StreamRoutes) -> tuple[Route, ...]:
    """To go on with a stream, or to end it."""
    return (
        Route("/v1/streams/{id}", streams.resume, "inference"),
        Route("/v1/streams/{id}", streams.cancel, "inference", "DELETE"),
        Route("/streams/{id}", streams.resume, "inference"),
        Route("/streams/{id}", streams.cancel, "inference", "DELETE"),
    )


def usage_routes(usage: UsageRoutes) -> tuple[Route, ...]:
    """What was recorded: of a caller's own requests, and for those who may read everybody's."""
    return (
        Route("/v1/generations/{id}", usage.generation, ANY_SCOPE),
        Route("/generations/{id}", usage.generation, ANY_SCOPE),
        Route("/admin/usage", usage.page, READS_USAGE),
        Route("/admin/usage/summary", usage.summary, READS_USAGE),
        Route("/admin/usage/export", usage.export, READS_USAGE),
    )


def key_routes(keys: KeyRoutes) -> tuple[Route, ...]:
    """The administration of api keys."""
    return (
        Route("/admin/keys", keys.list, "admin"),
        Route("/admin/keys", keys.create, "admin", "POST"),
        Route("/admin/keys/{id}", keys.get, "admin"),
        Route("/admin/keys/{id}", keys.update, "admin", "PATCH"),
        Route("/admin/keys/{id}", keys.revoke, "admin", "DELETE"),
        Route("/admin/keys/{id}/rotate", keys.rotate, "admin", "POST"),
    )
