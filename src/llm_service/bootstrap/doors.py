"""Builds the doors: the routes behind them, who may come in, and what pages of other origins may do."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from starlette.middleware.cors import CORSMiddleware

from llm_service import __version__
from llm_service.admission import Rules
from llm_service.api import (
    AnsweringParts,
    App,
    CacheRoutes,
    Calls,
    ConfigRoutes,
    DocsRoutes,
    DoorParts,
    GenerateDoor,
    HealthRoutes,
    KeyRoutes,
    LimitRoutes,
    ModelRoutes,
    Reload,
    RestApp,
    Resuming,
    Route,
    Serving,
    SocketDoor,
    SocketParts,
    Sockets,
    StreamRoutes,
    UsageRoutes,
    control_routes,
    withdrawn_for_pages,
)
from llm_service.bootstrap.ground import Ground
from llm_service.bootstrap.stores import Stores
from llm_service.config import rendered
from llm_service.domain import InvalidRequest
from llm_service.observability import Listeners
from llm_service.runtime import Clock
from llm_service.services import (
    Authenticator,
    CacheAdmin,
    DatabaseHealth,
    Gateway,
    Health,
    LimitStates,
    Models,
    Standing,
    StoreHealth,
    Usage,
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


def build_calls(ground: Ground, gateway: Gateway, listeners: Listeners) -> Calls:
    """What every door does with a call."""
    return Calls(
        gateway=gateway,
        listeners=listeners,
        serving=Serving(ground.stores.streams),
        finish=ground.settings.streams.on_disconnect == "finish",
        clock=ground.clock,
        tasks=ground.tasks,
    )


def build_app(
    ground: Ground, *, calls: Calls, models: Models, health: Health, rules: Rules, reload: Reload | None
) -> RestApp:
    """The REST surface: the door of the answers, and all others."""
    settings, stores, log, ids = ground.settings, ground.stores, ground.log, ground.ids
    authenticator = Authenticator(
        admin_key=settings.auth.admin_key,
        keyless=settings.server.on_loopback and settings.auth.required == "auto",
        allowed_origins=settings.server.allowed_origins,
        keys=stores.issued_keys,
    )
    fixed_headers = ((b"x-llm-sandbox", b"true"),) if ground.sandbox else ()
    stream_routes = StreamRoutes(
        Resuming(stores.streams), options=settings.server, clock=ground.clock, tasks=ground.tasks
    )
    door = GenerateDoor(
        DoorParts(
            calls=calls,
            authenticator=authenticator,
            log=log,
            options=settings.server,
            resumed=stream_routes,
            ids=ids,
            fixed_headers=fixed_headers,
        )
    )
    routes = build_routes(ground, stream_routes, models=models, health=health, rules=rules, reload=reload)
    return RestApp(
        door=door,
        routes=routes,
        authenticator=authenticator,
        ids=ids,
        log=log,
        fixed_headers=fixed_headers,
        sockets=build_sockets(
            ground, {"/v1/ws": build_socket_door(ground, calls, authenticator, fixed_headers)}, fixed_headers
        ),
    )


def build_socket_door(
    ground: Ground, calls: Calls, authenticator: Authenticator, fixed_headers: HeaderList
) -> SocketDoor:
    """The door of ``/v1/ws``."""
    answering = AnsweringParts(calls=calls, resuming=Resuming(ground.stores.streams), ids=ground.ids, log=ground.log)
    parts = SocketParts(answering=answering, authenticator=authenticator, options=ground.settings.websocket)
    return SocketDoor(parts, fixed_headers=fixed_headers)


def build_sockets(ground: Ground, apps: Mapping[str, App], fixed_headers: HeaderList) -> Sockets:
    """The WebSockets by their paths."""
    return Sockets(
        apps,
        max_message_bytes=ground.settings.server.max_body_bytes,
        ping_s=ground.settings.websocket.ping_interval_s,
        ids=ground.ids,
        fixed_headers=fixed_headers,
    )


def build_routes(
    ground: Ground,
    stream_routes: StreamRoutes,
    *,
    models: Models,
    health: Health,
    rules: Rules,
    reload: Reload | None,
) -> Sequence[Route]:
    """Every route but those of the answers."""
    settings, stores, clock = ground.settings, ground.stores, ground.clock
    usage = Usage(stores.database.ledger, unshipped=stores.ledger, clock=clock)
    return control_routes(
        ModelRoutes(models),
        HealthRoutes(health),
        DocsRoutes(__version__),
        ConfigRoutes(partial(rendered, settings), reload or no_reload),
        KeyRoutes(stores.keys, clock),
        UsageRoutes(usage),
        LimitRoutes(LimitStates(rules, stores.gate, key=stores.keys.get)),
        stream_routes,
        CacheRoutes(
            CacheAdmin(stores.cache, usage, semantic=stores.semantic.cache, scope=settings.cache.scope, clock=clock)
        ),
    )


async def no_reload() -> Mapping[str, Any]:
    """Whoever built this service reads no settings again."""
    raise InvalidRequest("The settings of this service cannot be read again: it was given them once.")


def build_health(ground: Ground, standing: Standing | None) -> Health:
    """What ``/health`` says."""
    kinds = {
        name: options.kind or "openai_compatible"
        for name, options in ground.settings.providers.items()
        if options.enabled
    }
    return Health(
        version=__version__,
        sandbox=ground.sandbox,
        providers=kinds,
        clock=ground.clock,
        standing=standing,
        stores=build_store_health(ground.stores, ground.clock),
    )


def build_store_health(stores: Stores, clock: Clock) -> StoreHealth:
    """What ``/health`` says of the stores."""
    shared, ledger = stores.shared, stores.ledger
    return StoreHealth(
        gate=stores.gate,
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
