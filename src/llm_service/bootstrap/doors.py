"""Builds the doors: the routes behind them, who may come in, and what pages of other origins may do."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from starlette.middleware.cors import CORSMiddleware

from llm_service import __version__
from llm_service.admission import Rules
from llm_service.api import (
    About,
    Acts,
    AlertRoutes,
    AnsweringParts,
    App,
    AuditRoutes,
    CacheRoutes,
    Calls,
    ConfigRoutes,
    DocsRoutes,
    DoorParts,
    ExplainRoutes,
    GenerateDoor,
    GraphqlDoor,
    GraphqlParts,
    HealthRoutes,
    KeyRoutes,
    LimitRoutes,
    LiveRoutes,
    MetricsRoutes,
    ModelRoutes,
    ProviderRoutes,
    Reload,
    RestApp,
    Resuming,
    Route,
    Serving,
    SessionRoutes,
    SocketDoor,
    SocketParts,
    Sockets,
    StreamRoutes,
    UsageRoutes,
    control_routes,
    withdrawn_for_pages,
)
from llm_service.bootstrap.ground import Ground
from llm_service.bootstrap.provider_parts import ProviderParts
from llm_service.bootstrap.stores import Stores
from llm_service.config import rendered
from llm_service.domain import InvalidRequest, fact
from llm_service.observability import Listeners, Tracer
from llm_service.routing import Overload
from llm_service.runtime import Clock
from llm_service.services import (
    AlertAdmin,
    Audit,
    Authenticator,
    CacheAdmin,
    DatabaseHealth,
    Explain,
    Gateway,
    Health,
    LimitStates,
    PricedModels,
    ProviderAdmin,
    ProviderHealth,
    Sessions,
    Standing,
    StoreHealth,
    SystemHealth,
    Tokens,
    Usage,
    WrongKeys,
    level_object,
    override_object,
)

HeaderList = tuple[tuple[bytes, bytes], ...]
STAINLESS = tuple(
    f"x-stainless-{name}"
    for name in (
        "arch async helper-method lang os package-version read-timeout retry-count runtime runtime-version".split()
    )
)
"""What OpenAI's clients send about themselves, also from browsers."""
EXPOSED_HEADERS = (
    "x-request-id", "retry-after", "retry-after-ms", "x-should-retry", "server-timing", "x-llm-provider", "x-llm-model",
    "x-llm-cache", "age", "cache-status", "x-llm-attempts", "x-llm-stream-id", "x-llm-cost-usd", "x-llm-cost-source",
    "x-llm-sandbox", "ratelimit", "ratelimit-policy", "x-ratelimit-limit-requests", "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests", "x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-tokens",
)  # fmt: skip
CORS_HEADERS = (
    "authorization",
    "content-type",
    "x-api-key",
    "x-llm-timeout-s",
    "x-llm-user",
    "x-llm-tags",
    "last-event-id",
    "cache-control",
    "idempotency-key",
    "x-llm-on-disconnect",
    "traceparent",
    *STAINLESS,
)


def build_calls(
    ground: Ground, gateway: Gateway, listeners: Listeners, *, serving: Serving, tracer: Tracer | None
) -> Calls:
    """What every door does with a call."""
    return Calls(
        gateway=gateway,
        listeners=listeners,
        serving=serving,
        finish=ground.settings.streams.on_disconnect == "finish",
        clock=ground.clock,
        tasks=ground.tasks,
        tracer=tracer,
    )


@fact
class Desk:
    """What every door asks beside the gateway."""

    calls: Calls
    explain: Explain
    authenticator: Authenticator
    sessions: Sessions
    resuming: Resuming
    models: PricedModels
    providers: ProviderAdmin
    health: Health
    usage: Usage
    limits: LimitStates
    cache: CacheAdmin
    alerts: AlertAdmin
    audit: Audit
    acts: Acts
    fixed_headers: tuple[tuple[bytes, bytes], ...]


def build_app(
    ground: Ground,
    *,
    calls: Calls,
    explain: Explain,
    parts: ProviderParts,
    models: PricedModels,
    alerts: AlertAdmin,
    health: Health,
    rules: Rules,
    tokens: Tokens | None,
    reload: Reload | None,
) -> RestApp:
    """All doors, over the same services."""
    settings = ground.settings
    desk = build_desk(
        ground,
        calls=calls,
        explain=explain,
        parts=parts,
        models=models,
        alerts=alerts,
        health=health,
        rules=rules,
        tokens=tokens,
    )
    graphql = build_graphql(ground, desk) if settings.graphql.enabled else None
    streams = StreamRoutes(
        desk.resuming, options=settings.server, authenticator=desk.authenticator, clock=ground.clock, tasks=ground.tasks
    )
    return RestApp(
        door=GenerateDoor(
            DoorParts(
                calls=calls,
                authenticator=desk.authenticator,
                log=ground.log,
                options=settings.server,
                resumed=streams,
                ids=ground.ids,
                fixed_headers=desk.fixed_headers,
                answered=ground.stores.metering.http.answered,
            )
        ),
        routes=build_routes(ground, desk, streams, reload=reload),
        authenticator=desk.authenticator,
        ids=ground.ids,
        log=ground.log,
        acts=desk.acts,
        clock=ground.clock,
        tasks=ground.tasks,
        fixed_headers=desk.fixed_headers,
        sockets=build_sockets(ground, desk, graphql),
        graphql=graphql,
        answered=ground.stores.metering.http.answered,
        admin_port=settings.server.admin_port is not None,
    )


def build_sockets(ground: Ground, desk: Desk, graphql: GraphqlDoor | None) -> Sockets:
    """The WebSockets by their paths."""
    answering = AnsweringParts(calls=desk.calls, resuming=desk.resuming, ids=ground.ids, log=ground.log)
    parts = SocketParts(answering=answering, authenticator=desk.authenticator, options=ground.settings.websocket)
    apps: dict[str, App] = {"/v1/ws": SocketDoor(parts, fixed_headers=desk.fixed_headers)}
    if graphql is not None:
        apps["/graphql"] = graphql
    return Sockets(
        apps,
        max_message_bytes=ground.settings.server.max_body_bytes,
        ping_s=ground.settings.websocket.ping_interval_s,
        ids=ground.ids,
        fixed_headers=desk.fixed_headers,
    )


def build_desk(
    ground: Ground,
    *,
    calls: Calls,
    explain: Explain,
    parts: ProviderParts,
    models: PricedModels,
    alerts: AlertAdmin,
    health: Health,
    rules: Rules,
    tokens: Tokens | None,
) -> Desk:
    """The services that several doors share."""
    settings, stores = ground.settings, ground.stores
    usage = Usage(stores.database.ledger, unshipped=stores.ledger, clock=ground.clock)
    sessions = Sessions(
        hash_keys=stores.hash_keys,
        admin_key=settings.auth.admin_key,
        keys=stores.issued_keys,
        clock=ground.clock,
        ids=ground.ids,
    )
    return Desk(
        calls=calls,
        explain=explain,
        authenticator=Authenticator(
            admin_key=settings.auth.admin_key,
            keyless=settings.server.on_loopback and settings.auth.required == "auto",
            allowed_origins=settings.server.allowed_origins,
            keys=stores.issued_keys,
            tokens=tokens,
            sessions=sessions,
            wrong_keys=WrongKeys(ground.clock.monotonic, ground.log, per_minute=settings.auth.wrong_keys_per_minute),
        ),
        resuming=Resuming(stores.streams, tell=stores.metering.resumed),
        sessions=sessions,
        models=models,
        providers=parts.admin,
        health=health,
        usage=usage,
        limits=LimitStates(rules, stores.gate, key=stores.keys.get),
        cache=CacheAdmin(
            stores.cache, usage, semantic=stores.semantic.cache, scope=settings.cache.scope, clock=ground.clock
        ),
        alerts=alerts,
        audit=Audit(stores.database.audit),
        acts=Acts(ground.log, stores.trail),
        fixed_headers=((b"x-llm-sandbox", b"true"),) if ground.sandbox else (),
    )


def build_routes(ground: Ground, desk: Desk, streams: StreamRoutes, *, reload: Reload | None) -> Sequence[Route]:
    """Every route of REST but those of the answers."""
    return control_routes(
        ModelRoutes(desk.models),
        HealthRoutes(desk.health),
        DocsRoutes(__version__),
        ConfigRoutes(
            partial(rendered, ground.settings),
            reload or no_reload,
            partial(decided_later, ground.stores),
            ground.stores.log_levels.change,
        ),
        KeyRoutes(ground.stores.keys, ground.clock),
        UsageRoutes(desk.usage),
        LimitRoutes(desk.limits),
        streams,
        CacheRoutes(desk.cache),
        ProviderRoutes(desk.providers),
        ExplainRoutes(desk.explain, desk.calls, max_body_bytes=ground.settings.server.max_body_bytes),
        MetricsRoutes(ground.stores.metering.scrape.text, is_open=ground.settings.observability.metrics_open),
        LiveRoutes(
            ground.stores.live.events,
            ground.stores.live.history,
            serving=desk.calls.serving,
            authenticator=desk.authenticator,
            keep_alive_s=ground.settings.server.keep_alive_s,
        ),
        AlertRoutes(desk.alerts, ground.clock),
        AuditRoutes(desk.audit),
        sessions=build_session_routes(ground, desk),
    )


def build_session_routes(ground: Ground, desk: Desk) -> SessionRoutes:
    """How browsers come in, and go."""
    return SessionRoutes(
        desk.sessions,
        authenticator=desk.authenticator,
        about=About(version=__version__, sandbox=ground.sandbox),
        log=ground.log,
    )


def build_graphql(ground: Ground, desk: Desk) -> GraphqlDoor:
    """GraphQL. Raises OSError and ValueError for trusted documents that cannot be read."""
    return GraphqlDoor(
        GraphqlParts(
            options=ground.settings.graphql,
            server=ground.settings.server,
            authenticator=desk.authenticator,
            calls=desk.calls,
            explain=desk.explain,
            resuming=desk.resuming,
            models=desk.models,
            providers=desk.providers,
            health=desk.health,
            usage=desk.usage,
            keys=ground.stores.keys,
            limits=desk.limits,
            cache=desk.cache,
            events=ground.stores.live.events,
            alerts=desk.alerts,
            audit=desk.audit,
            acts=desk.acts,
            ids=ground.ids,
            log=ground.log,
            fixed_headers=desk.fixed_headers,
        )
    )


async def no_reload() -> Mapping[str, Any]:
    """Whoever built this service reads no settings again."""
    raise InvalidRequest("The settings of this service cannot be read again: it was given them once.")


def decided_later(stores: Stores) -> Mapping[str, Any]:
    """What holds in place of the settings since it was decided at run time."""
    level = stores.log_levels.decided
    return {
        "providers": {name: override_object(one) for name, one in sorted(stores.overrides.known.items())},
        "log_level": None if level is None else level_object(level),
    }


def build_health(ground: Ground, providers: ProviderHealth, standing: Standing | None, *, overload: Overload) -> Health:
    """What ``/health`` says."""
    return Health(
        version=__version__,
        sandbox=ground.sandbox,
        of_providers=providers,
        clock=ground.clock,
        standing=standing,
        stores=build_store_health(ground.stores, ground.clock),
        system=SystemHealth(ground.stores.pressure, overload),
    )


def build_store_health(stores: Stores, clock: Clock) -> StoreHealth:
    """What ``/health`` says of the stores."""
    shared, ledger = stores.shared, stores.ledger
    return StoreHealth(
        gate=stores.gate,
        cache_reach=stores.cache.reach,
        shared=None if shared is None else lambda: shared.state,
        database=DatabaseHealth(stores.database, clock),
        ledger=lambda: ledger.state,
    )


def with_cors(app: RestApp, origins: tuple[str, ...]) -> Any:
    """The application, open to the pages of these origins; nothing stands in front of it where there are none."""
    if not origins:
        return app
    return CORSMiddleware(
        withdrawn_for_pages(app),
        allow_origins=origins,
        allow_methods=("GET", "POST", "PATCH", "DELETE"),
        allow_headers=CORS_HEADERS,
        expose_headers=EXPOSED_HEADERS,
        allow_origin_regex=None,
    )
