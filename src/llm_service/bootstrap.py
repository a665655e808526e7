"""Builds the whole object graph, once, in order. The list of stages stands here and nowhere else."""

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.middleware.cors import CORSMiddleware

from llm_service import __version__
from llm_service.api import DocsRoutes, DoorParts, GenerateDoor, HealthRoutes, ModelRoutes, RestApp, control_routes
from llm_service.config import Settings
from llm_service.observability import AccessLog, Listener, Listeners, Log
from llm_service.pipeline import CallProvider, Observe, Resolve, Resolver, Row, compose
from llm_service.providers import (
    HttpProvider,
    Provider,
    ProviderOptions,
    base_url_for,
    credential_headers,
    dialect_for,
    retired_names,
)
from llm_service.runtime import Clock, IdSource, OnFailure, RandomIds, SystemClock, Tasks, system_random
from llm_service.services import Authenticator, Gateway, Health, Models
from llm_service.transport import CLIENTS

STAINLESS = tuple(
    f"x-stainless-{name}"
    for name in (
        "arch async helper-method lang os package-version read-timeout retry-count runtime runtime-version".split()
    )
)
"""What OpenAI's clients send about themselves, also from browsers."""
EXPOSED_HEADERS = (
    "x-request-id", "retry-after", "retry-after-ms", "x-should-retry", "server-timing", "x-llm-provider", "x-llm-model",
    "x-llm-attempts", "x-llm-stream-id", "x-llm-cost-usd", "x-llm-cost-source", "x-llm-sandbox",
)  # fmt: skip
CORS_HEADERS = (
    "authorization",
    "content-type",
    "x-api-key",
    "x-llm-timeout-s",
    "last-event-id",
    "traceparent",
    *STAINLESS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The built service: the ASGI application, what shutting down needs, and the parts that commands use."""

    app: Any
    door: GenerateDoor
    health: Health
    models: Models
    providers: Mapping[str, Provider]
    listeners: Listeners
    tasks: Tasks

    async def aclose(self) -> None:
        """Close in reverse order of building: running work first, then the listeners and the connections."""
        await self.tasks.aclose()
        self.listeners.close()
        for provider in self.providers.values():
            await provider.aclose()


def build_service(
    settings: Settings,
    *,
    log: Log,
    listening: Sequence[Listener] = (),
    sandbox: bool = False,
    clock: Clock | None = None,
    ids: IdSource | None = None,
) -> Service:
    """The service for these settings; call it on the running event loop.

    ``listening`` are told of every request; without any, the log gets a line for each.
    """
    clock = clock or SystemClock()
    ids = ids or RandomIds(clock, system_random())

    def on_failure(work: str, failure: BaseException) -> None:
        log.error("background work failed", work=work, exc_info=failure)

    tasks = Tasks(on_failure)
    enabled = {name: options for name, options in settings.providers.items() if options.enabled}
    providers = {
        name: build_provider(name, options, clock=clock, on_failure=on_failure) for name, options in enabled.items()
    }
    listeners = Listeners(listening or [AccessLog(log)])
    gateway = Gateway(row=build_row(settings, providers, listeners=listeners, clock=clock), tasks=tasks, log=log)
    models = Models(providers=providers, named=settings.models, clock=clock, log=log)
    kinds = {name: options.kind or "openai_compatible" for name, options in enabled.items()}
    health = Health(version=__version__, sandbox=sandbox, providers=kinds, clock=clock)
    authenticator = Authenticator(
        admin_key=settings.auth.admin_key,
        keyless=settings.server.on_loopback and settings.auth.required == "auto",
        allowed_origins=settings.server.allowed_origins,
    )
    fixed_headers = ((b"x-llm-sandbox", b"true"),) if sandbox else ()
    door = GenerateDoor(
        DoorParts(
            gateway=gateway,
            authenticator=authenticator,
            listeners=listeners,
            log=log,
            options=settings.server,
            clock=clock,
            ids=ids,
            tasks=tasks,
            fixed_headers=fixed_headers,
        )
    )
    app = RestApp(
        door=door,
        routes=control_routes(ModelRoutes(models), HealthRoutes(health), DocsRoutes(__version__)),
        authenticator=authenticator,
        ids=ids,
        log=log,
        fixed_headers=fixed_headers,
    )
    return Service(
        app=with_cors(app, settings.server.allowed_origins),
        door=door,
        health=health,
        models=models,
        providers=providers,
        listeners=listeners,
        tasks=tasks,
    )


def build_row(settings: Settings, providers: Mapping[str, Provider], *, listeners: Listeners, clock: Clock) -> Row:
    """The row of stages, in the order in which a request passes them."""
    return compose(
        [
            ("observe", Observe(listeners, clock)),
            ("resolve", Resolve(build_resolver(settings))),
        ],
        ("provider", CallProvider(providers, clock)),
        now=clock.monotonic,
    )


def build_resolver(settings: Settings) -> Resolver:
    """What the names of models mean under these settings."""
    kinds = {options.kind: name for name, options in reversed([*settings.providers.items()])}
    deepseek = kinds.get("deepseek")
    return Resolver(
        providers=frozenset(settings.providers),
        models=settings.models,
        aliases=dict.fromkeys(retired_names("deepseek"), deepseek) if deepseek is not None else {},
        catch_all=kinds.get("openrouter"),
    )


def build_provider(name: str, options: ProviderOptions, *, clock: Clock, on_failure: OnFailure) -> Provider:
    """One provider with a pool of connections of its own."""
    tls = None if options.ca_file is None else ssl.create_default_context(cafile=str(options.ca_file))
    return HttpProvider(
        name=name,
        dialect=dialect_for(name, options, clock),
        transport=CLIENTS[options.client](max_connections=options.max_connections, on_failure=on_failure, tls=tls),
        base_url=base_url_for(name, options),
        headers={**credential_headers(name, options), **options.headers},
        query=options.query,
        timeouts=options.timeouts,
        clock=clock,
        api_key=options.api_key,
    )


def with_cors(app: RestApp, origins: tuple[str, ...]) -> Any:
    """The application, open to the pages of these origins; nothing stands in front of it where there are none."""
    if not origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=("GET", "POST", "DELETE"),
        allow_headers=CORS_HEADERS,
        expose_headers=EXPOSED_HEADERS,
        allow_origin_regex=None,
    )
