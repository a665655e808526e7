"""The REST routes beside the hot ones, called in the process, in front of providers that answer by script."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx2

from llm_service.api import (
    About,
    Acts,
    AlertRoutes,
    AuditRoutes,
    CacheRoutes,
    ConfigRoutes,
    DocsRoutes,
    ExplainRoutes,
    HealthRoutes,
    KeyRoutes,
    LimitRoutes,
    LiveRoutes,
    MetricsRoutes,
    ModelRoutes,
    ProviderRoutes,
    Reload,
    Serving,
    SessionRoutes,
    StreamRoutes,
    UsageRoutes,
    control_routes,
)
from llm_service.api.rest.app import Control
from llm_service.api.rest.routes import Route
from llm_service.config import Settings, rendered
from llm_service.domain import Body, Candidate, LLMServiceError, ModelInfo, Secret
from llm_service.prices import PriceBook, PriceList, PriceOptions
from llm_service.routing import ModelOptions
from llm_service.runtime import Tasks
from llm_service.services import (
    Audit,
    AuditTrail,
    Authenticator,
    CacheAdmin,
    Events,
    Health,
    LimitStates,
    MetricsHistory,
    Models,
    PricedModels,
    Sessions,
    Usage,
    WrongKeys,
)
from llm_service.storage import MemoryCache
from llm_service.streams import Streams
from tests.support.alert_service import AlertDesk
from tests.support.clock import ManualClock
from tests.support.key_service import Process, World
from tests.support.measured import Measured
from tests.support.memory_audit import MemoryAudit
from tests.support.provider_service import Desk, ScriptedProvider
from tests.support.service import LogLines
from tests.support.usage_service import Books

ADMIN_KEY = "sk-test-admin-key-0123456789"
WRONG_KEYS = 10
"""So many an address may show in a minute."""


@dataclass
class Catalogue:
    """A provider that has nothing but a catalogue, or fails to tell it."""

    says: Sequence[ModelInfo] | LLMServiceError
    asked: int = 0

    async def catalogue(self) -> bytes:
        self.asked += 1
        if isinstance(self.says, LLMServiceError):
            raise self.says
        return b"{}"

    def models(self, catalogue: bytes) -> Sequence[ModelInfo]:
        assert not isinstance(self.says, LLMServiceError)
        return self.says


class CountedIds:
    def __init__(self) -> None:
        self._numbers = count(1)

    def new(self, prefix: str) -> str:
        return f"{prefix}_{next(self._numbers):026x}"


@dataclass
class Parts:
    models: ModelRoutes
    health: HealthRoutes
    docs: DocsRoutes
    process: Process
    settings: Settings
    books: Books
    cache: MemoryCache
    streams: StreamRoutes
    reload: Reload
    desk: Desk
    alerts: AlertDesk
    log: LogLines = field(default_factory=LogLines)
    audit: MemoryAudit = field(default_factory=MemoryAudit)

    def __post_init__(self) -> None:
        clock = self.process.world.clock
        self.trail = AuditTrail(self.audit, clock=clock, ids=CountedIds(), log=self.log)

    @property
    def acts(self) -> Acts:
        return Acts(self.log, self.trail)

    @property
    def sessions(self) -> Sessions:
        return Sessions(
            hash_keys=self.process.world.hash_keys,
            admin_key=Secret(ADMIN_KEY),
            keys=self.process.issued,
            clock=self.process.world.clock,
            ids=CountedIds(),
        )

    @property
    def routes(self) -> tuple[Route, ...]:
        return self.routes_for(authenticator_of(self, keyless=True))

    def routes_for(self, authenticator: Authenticator) -> tuple[Route, ...]:
        keys = KeyRoutes(self.process.keys, self.process.world.clock)
        config = ConfigRoutes(
            lambda: rendered(self.settings), self.reload, lambda: {"providers": {}, "log_level": None}, unchanged
        )
        usage = Usage(self.books.ledger)
        scope = self.settings.cache.scope
        cache = CacheRoutes(CacheAdmin(self.cache, usage, scope=scope, clock=self.books.clock))
        limits = LimitRoutes(LimitStates(self.books.rules, self.books.gate, key=self.process.keys.get))
        nobody: Any = None
        explain = ExplainRoutes(nobody, nobody, max_body_bytes=1000)  # what is no request never comes to it
        return control_routes(
            self.models,
            self.health,
            self.docs,
            config,
            keys,
            UsageRoutes(usage),
            limits,
            self.streams,
            cache,
            ProviderRoutes(self.desk.admin),
            explain,
            MetricsRoutes(scraped, is_open=False),
            live_routes_of(self.process),
            AlertRoutes(self.alerts.admin, self.alerts.clock),
            AuditRoutes(Audit(self.audit)),
            sessions=SessionRoutes(
                self.sessions,
                authenticator=authenticator,
                about=About(version="1.2.3", sandbox=False),
                log=self.process.log,
            ),
        )


async def scraped(accept: str) -> tuple[bytes, str]:
    return b"# EOF\n", "text/plain"


async def unchanged(_: Body) -> None:
    """Whoever built this keeps no settings that change at run time."""


def live_routes_of(process: Process) -> LiveRoutes:
    """Of a generation of the settings that is over: whoever listens is told so at once."""
    clock, tasks = process.world.clock, process.tasks
    history = MetricsHistory(Measured(clock), bulletin=None, clock=clock, tasks=tasks, log=process.log)
    events = Events(history, bulletin=None, process="proc_1", worker=None, clock=clock, tasks=tasks, log=process.log)
    serving = Serving(Streams(clock, retention_s=60, total_bytes=1_000_000))
    serving.retired = True
    return LiveRoutes(events, history, serving=serving, authenticator=process.authenticator, keep_alive_s=10)


async def reloaded() -> Mapping[str, Any]:
    return {"generation": 2, "loaded_at": "2026-11-25T12:00:00Z"}


def health_of(clock: ManualClock, *, sandbox: bool = False) -> Health:
    return Health(version="1.2.3", sandbox=sandbox, providers={"deepseek": "deepseek"}, clock=clock)


def models_of(
    providers: Mapping[str, Catalogue],
    clock: ManualClock,
    *,
    named: Mapping[str, ModelOptions] | None = None,
    aliases: Mapping[str, Candidate] | None = None,
) -> Models:
    return Models(
        providers=providers,  # type: ignore[arg-type]
        named=named or {},
        aliases=aliases or {},
        clock=clock,
        log=LogLines(),  # type: ignore[arg-type]
    )


def priced(models: Models, clock: ManualClock, **prices: PriceOptions) -> PricedModels:
    """With the prices of the catalogues, of the table, and the operator's by ``provider``."""
    lists = {name: PriceList(name=name) for name in ("deepseek", "openai")}
    own = {f"{provider}/*": options for provider, options in prices.items()}
    return PricedModels(models, PriceBook(lists=lists, prices=own, live=models.told), clock)


def parts_of(
    *,
    models: Models | None = None,
    health: Health | None = None,
    settings: Settings | None = None,
    desk: Desk | None = None,
) -> Parts:
    clock = ManualClock()
    settings = settings or Settings()
    books = Books(limits=settings.limits)
    streams = Streams(clock, retention_s=60, total_bytes=1_000_000)
    return Parts(
        models=ModelRoutes(priced(models or models_of({}, clock), clock)),
        health=HealthRoutes(health or health_of(clock)),
        docs=DocsRoutes("1.2.3"),
        process=Process(World()),
        settings=settings,
        books=books,
        cache=MemoryCache(books.clock, max_bytes=1_000_000, max_entry_bytes=100_000),
        streams=StreamRoutes(
            streams,
            options=settings.server,
            authenticator=Authenticator(admin_key=None, keyless=True, allowed_origins=()),
            clock=clock,
            tasks=Tasks(lambda work, failure: None),
        ),
        reload=reloaded,
        desk=desk or Desk(ScriptedProvider("deepseek")),
        alerts=AlertDesk(CountedIds()),
    )


def authenticator_of(parts: Parts, *, keyless: bool) -> Authenticator:
    return Authenticator(
        admin_key=Secret(ADMIN_KEY),
        keyless=keyless,
        allowed_origins=(),
        keys=parts.process.issued,
        sessions=parts.sessions,
        wrong_keys=WrongKeys(parts.process.world.clock.monotonic, parts.log, per_minute=WRONG_KEYS),
    )


def control_of(parts: Parts, *, keyless: bool = True) -> Control:
    authenticator = authenticator_of(parts, keyless=keyless)
    return Control(
        parts.routes_for(authenticator),
        authenticator=authenticator,
        ids=CountedIds(),
        log=parts.log,
        acts=parts.acts,
        clock=parts.process.world.clock,
        fixed_headers=(),
    )


def client_of(parts: Parts, *, keyless: bool = True) -> httpx2.AsyncClient:
    """A client on this machine."""
    transport = httpx2.ASGITransport(control_of(parts, keyless=keyless), raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080")
