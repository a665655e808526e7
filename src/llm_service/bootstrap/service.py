"""Builds the whole object graph, in order. The list of stages stands here and nowhere else."""

import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.middleware.cors import CORSMiddleware

from llm_service import __version__
from llm_service.admission import Admission, Facts, Rules
from llm_service.api import (
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
    Refused,
    Reload,
    RestApp,
    Resuming,
    Serving,
    StreamRoutes,
    UsageRoutes,
    control_routes,
    withdrawn_for_pages,
)
from llm_service.bootstrap.stores import Stores
from llm_service.cache import Address, CachePolicy
from llm_service.config import Settings, rendered
from llm_service.domain import Candidate, InvalidRequest, ModelInfo, ModelRequest
from llm_service.ledger import Ledger
from llm_service.observability import AccessLog, Listener, Listeners, Log
from llm_service.pipeline import (
    Account,
    Accounts,
    Admit,
    Alike,
    CallProvider,
    Observe,
    Promises,
    Remember,
    Replay,
    Resolve,
    Resolver,
    Row,
    Share,
    compose,
)
from llm_service.prices import Ceiling, ModelPrice, PriceBook
from llm_service.providers import (
    HttpProvider,
    Provider,
    ProviderOptions,
    base_url_for,
    credential_headers,
    dialect_for,
    price_list_for,
    retired_names,
)
from llm_service.runtime import Clock, IdSource, OnFailure, RandomIds, SystemClock, Tally, Tasks, system_random
from llm_service.services import (
    Authenticator,
    CacheAdmin,
    Corrections,
    DatabaseHealth,
    Gateway,
    Health,
    LimitStates,
    Models,
    Reconciler,
    Standing,
    StoreHealth,
    TokenCounter,
    Turn,
    Upkeep,
    Usage,
)
from llm_service.storage import Database
from llm_service.tokens import bound_input_tokens
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The built service: the ASGI application, what shutting down needs, and the parts that commands use.

    ``unsettled``: exchanges that may go on though their clients have left.
    """

    app: Any
    refused: Refused
    serving: Serving
    health: Health
    models: Models
    providers: Mapping[str, Provider]
    listeners: Listeners
    tasks: Tasks
    unsettled: Tally
    upkeep: Upkeep

    async def aclose(self) -> None:
        """Close in reverse order of building: running work first, then the listeners and the connections."""
        await self.tasks.aclose()
        self.listeners.close()
        for provider in self.providers.values():
            await provider.aclose()


def build_service(
    settings: Settings,
    stores: Stores,
    *,
    log: Log,
    listening: Sequence[Listener] = (),
    sandbox: bool = False,
    clock: Clock | None = None,
    ids: IdSource | None = None,
    standing: Standing | None = None,
    reload: Reload | None = None,
) -> Service:
    """The service for these settings; call it on the running event loop, once for each generation of the settings.

    ``listening`` are told of every request; without any, the log gets a line for each. ``reload`` makes the next
    generation; without it there is none.
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
    aliases = build_aliases(settings.providers)
    models = Models(providers=providers, named=settings.models, aliases=aliases, clock=clock, log=log)
    rules = Rules(settings.limits, now=clock.now, time=clock.time)
    accounts = build_accounts(settings, stores, rules=rules, known=models.told, clock=clock, log=log)
    unsettled = Tally()
    row = build_row(
        settings,
        providers,
        stores,
        accounts=accounts,
        listeners=listeners,
        clock=clock,
        tasks=tasks,
        log=log,
        sandbox=sandbox,
        unsettled=unsettled,
    )
    gateway = Gateway(row=row, tasks=tasks, log=log, clock=clock, ids=ids)
    corrections = build_corrections(stores.database, stores.ledger, providers, clock=clock, log=log)
    kinds = {name: options.kind or "openai_compatible" for name, options in enabled.items()}
    health = Health(
        version=__version__,
        sandbox=sandbox,
        providers=kinds,
        clock=clock,
        standing=standing,
        stores=build_store_health(stores, clock),
    )
    authenticator = Authenticator(
        admin_key=settings.auth.admin_key,
        keyless=settings.server.on_loopback and settings.auth.required == "auto",
        allowed_origins=settings.server.allowed_origins,
        keys=stores.issued_keys,
    )
    fixed_headers = ((b"x-llm-sandbox", b"true"),) if sandbox else ()
    stream_routes = StreamRoutes(Resuming(stores.streams), options=settings.server, clock=clock, tasks=tasks)
    calls = Calls(
        gateway=gateway,
        listeners=listeners,
        serving=Serving(stores.streams),
        finish=settings.streams.on_disconnect == "finish",
        clock=clock,
        tasks=tasks,
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
    usage = Usage(stores.database.ledger, unshipped=stores.ledger, clock=clock)
    app = RestApp(
        door=door,
        routes=control_routes(
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
        ),
        authenticator=authenticator,
        ids=ids,
        log=log,
        fixed_headers=fixed_headers,
    )
    return Service(
        app=with_cors(app, settings.server.allowed_origins),
        refused=app.refused,
        serving=calls.serving,
        health=health,
        models=models,
        providers=providers,
        listeners=listeners,
        tasks=tasks,
        unsettled=unsettled,
        upkeep=Upkeep(models, corrections, stores.database.replays, tasks=tasks, clock=clock, log=log),
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


def build_corrections(
    database: Database, ledger: Ledger, providers: Mapping[str, Provider], *, clock: Clock, log: Log
) -> Corrections:
    """What puts right the estimates of those providers that say afterwards what they billed."""
    return Corrections(
        Reconciler(ledger=database.ledger, providers=providers, clock=clock, log=log),
        ledger,
        Turn(database.facts, name=Corrections.TURN, holder=ledger.writer, clock=clock),
        providers=[name for name, provider in providers.items() if provider.keeps_generations],
    )


async def no_reload() -> Mapping[str, Any]:
    """Whoever built this service reads no settings again."""
    raise InvalidRequest("The settings of this service cannot be read again: it was given them once.")


def build_row(
    settings: Settings,
    providers: Mapping[str, Provider],
    stores: Stores,
    *,
    accounts: Accounts,
    listeners: Listeners,
    clock: Clock,
    tasks: Tasks,
    log: Log,
    sandbox: bool,
    unsettled: Tally,
) -> Row:
    """The row of stages, in the order in which a request passes them."""
    alike = build_alike(settings, stores, clock=clock, tasks=tasks)
    remember = Remember(
        policy=build_cache_policy(settings, sandbox=sandbox),
        store=stores.cache,
        streams=stores.streams,
        max_entry_bytes=settings.cache.max_entry_bytes,
        clock=clock,
        unsettled=unsettled,
        alike=alike,
    )
    share = Share(
        store=stores.cache,
        streams=stores.streams,
        max_bytes=settings.streams.max_bytes,
        clock=clock,
        alike=alike,
    )
    promises = Promises(
        store=stores.database.replays,
        streams=stores.streams,
        holder=stores.holder,
        lives=build_lives(stores),
        retention_s=settings.idempotency.retention_s,
        clock=clock,
        log=log,
        tasks=tasks,
    )
    return compose(
        [
            ("observe", Observe(listeners, clock)),
            ("resolve", Resolve(build_resolver(settings))),
            ("remember", remember),
            ("replay", Replay(promises, share)),
            ("admit", Admit(accounts)),
            ("share", share),
            ("account", Account(accounts)),
        ],
        ("provider", CallProvider(providers, clock)),
        now=clock.monotonic,
    )


def build_alike(settings: Settings, stores: Stores, *, clock: Clock, tasks: Tasks) -> Alike | None:
    """What looks for questions in other words, where the settings want that."""
    semantic = stores.semantic.under(settings.cache.semantic)
    if semantic is None:
        return None
    return Alike(semantic, store=stores.cache, streams=stores.streams, clock=clock, tasks=tasks)


def build_lives(stores: Stores) -> Callable[[str], Awaitable[bool]]:
    """Whether a process that holds an ``Idempotency-Key`` may live: taken over from the living, it would be paid twice.

    Machines that share a database see each other only through a store that they share as well; without one, whoever is
    not this process may live.
    """
    sees_all = stores.database.reach != "cluster" or stores.limits.reach == "cluster"

    async def unseen(holder: str) -> bool:
        return holder != stores.holder or await stores.vitals.lives(holder)

    return stores.vitals.lives if sees_all else unseen


def build_cache_policy(settings: Settings, *, sandbox: bool) -> CachePolicy:
    """What the cache may do for requests under these settings.

    In sandbox mode each worker has simulated providers of its own, which all answer alike: their addresses say nothing.
    """
    bases = {name: "sandbox" if sandbox else base_url_for(name, one) for name, one in settings.providers.items()}

    def address(candidate: Candidate) -> Address:
        return candidate.provider, bases[candidate.provider], candidate.upstream_model

    own = {name: model.cache_ttl_s for name, model in settings.models.items() if model.cache_ttl_s is not None}
    return CachePolicy(settings.cache, ttls_s=own, address=address)


def build_accounts(
    settings: Settings,
    stores: Stores,
    *,
    rules: Rules,
    known: Callable[[str, str], ModelInfo | None],
    clock: Clock,
    log: Log,
) -> Accounts:
    """Admission and accounting under these settings; ``known``: what a provider's catalogue said of a model."""
    counter = TokenCounter(stores.tokenizers)
    lists = {name: price_list_for(name, options) for name, options in settings.providers.items()}
    book = PriceBook(lists=lists, prices=settings.prices, live=known)

    def price(candidate: Candidate) -> ModelPrice | None:
        return book.price(candidate.provider, candidate.upstream_model)

    def ceiling(candidate: Candidate) -> Ceiling | None:
        known_price = price(candidate)
        return None if known_price is None else known_price.ceiling(clock.now())

    def most_output(candidate: Candidate) -> int | None:
        told = known(candidate.provider, candidate.upstream_model)
        return None if told is None else told.max_output_tokens

    def bound(request: ModelRequest, candidate: Candidate) -> int:
        return bound_input_tokens(request, body_bytes=request.body_bytes, model=candidate.upstream_model)

    admission = Admission(
        stores.gate,
        rules,
        options=settings.limits,
        facts=Facts(price=ceiling, most_output=most_output, bound=bound, count=counter.count_prompt),
    )
    return Accounts(
        admission=admission,
        ledger=stores.ledger,
        price=price,
        counter=counter,
        clock=clock,
        at_once=stores.shared is None,
        report=lambda work, defect: log.error("defect", work=work, exc_info=defect),
        log=log,
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


def build_aliases(providers: Mapping[str, ProviderOptions]) -> Mapping[str, Candidate]:
    """Every retired name that is served, with its provider before it and without, and the model in its place."""
    aliases: dict[str, Candidate] = {}
    for provider in (name for name, options in providers.items() if options.kind == "deepseek"):
        for retired, model in retired_names("deepseek").items():
            behind = aliases[f"{provider}/{retired}"] = Candidate(provider=provider, upstream_model=model)
            aliases.setdefault(retired, behind)
    return aliases


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
        withdrawn_for_pages(app),
        allow_origins=origins,
        allow_methods=("GET", "POST", "PATCH", "DELETE"),
        allow_headers=CORS_HEADERS,
        expose_headers=EXPOSED_HEADERS,
        allow_origin_regex=None,
    )
