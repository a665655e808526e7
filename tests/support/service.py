"""A whole service on loopback, in the test's own event loop."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from llm_service.api import HttpServer, listen
from llm_service.bootstrap import Service, Stores, Surroundings, build_service, open_stores
from llm_service.config import Settings
from llm_service.domain import Secret
from llm_service.observability import MetricsSource
from llm_service.providers import ProviderOptions, TimeoutOptions
from llm_service.routing import BreakerOptions, RoutingOptions
from llm_service.runtime import Clock, SystemClock, system_random

CREDENTIAL = "sk-test-4b7e20d9f1c86a35"
"""The gateway's own key at the simulated providers: it may be seen nowhere."""


PATIENT = RoutingOptions(
    retry_budget=0, retry_budget_min=0, breaker=BreakerOptions(failures=10_000, min_requests=100_000)
)
"""Nothing is asked twice, and whoever fails is asked again all the same."""


class LogLines:
    """A log that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[dict[str, object]] = []

    def _keep(self, level: str, event: str, **facts: object) -> None:
        self.lines.append({"level": level, "event": event, **facts})

    def debug(self, event: str, **facts: object) -> None:
        self._keep("debug", event, **facts)

    def info(self, event: str, **facts: object) -> None:
        self._keep("info", event, **facts)

    def warning(self, event: str, **facts: object) -> None:
        self._keep("warning", event, **facts)

    def error(self, event: str, **facts: object) -> None:
        self._keep("error", event, **facts)

    def of(self, event: str) -> list[dict[str, object]]:
        return [line for line in self.lines if line["event"] == event]


@dataclass
class Running:
    address: str
    service: Service
    stores: Stores
    log: LogLines


@asynccontextmanager
async def running(
    settings: Settings,
    *,
    sandbox: bool = False,
    cached: bool = False,
    resilient: bool = False,
    clock: Clock | None = None,
    figures: MetricsSource | None = None,
) -> AsyncIterator[Running]:
    """The service on a free port, with stores of its own, until the block ends.

    Without ``cached`` each request is answered by the upstream, also one that was answered before. Without
    ``resilient`` each failure of an upstream is seen by the client, however many there were: no retries, no breakers.
    """
    if not resilient:
        settings = replace(settings, routing=PATIENT)
    if not cached:
        settings = replace(settings, cache=replace(settings.cache, enabled=False))
    async with AsyncExitStack() as held:
        log = LogLines()
        stores = await stores_in(held, settings, log=log, clock=clock, metrics=figures)
        service = build_service(settings, stores, log=log, sandbox=sandbox, clock=clock, figures=figures)
        async with served(service) as address:
            yield Running(address, service, stores, log)


async def stores_in(
    held: AsyncExitStack,
    settings: Settings,
    *,
    log: LogLines,
    clock: Clock | None = None,
    metrics: MetricsSource | None = None,
) -> Stores:
    """Open stores in a folder that is gone afterwards."""
    folder = Path(held.enter_context(TemporaryDirectory()))
    around = Surroundings(data_dir=folder, clock=clock or SystemClock(), dice=system_random(), log=log, metrics=metrics)
    return await open_stores(
        held,
        around,
        store=settings.store,
        ledger=settings.ledger,
        cache=settings.cache,
        streams=settings.streams,
        hash_keys=settings.auth.hash_key,
    )


@asynccontextmanager
async def served(service: Service) -> AsyncIterator[str]:
    """The address of a built service, on a free port."""
    listening = listen("127.0.0.1", 0)
    server = HttpServer(service.app, refused=service.refused, lane=lambda: service.lane)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        await service.serving.drain(0, hurried=asyncio.Event())
        server.should_exit = True
        await serving
        await service.aclose()
        listening.close()


def simulated(address: str, **timeouts: float) -> Mapping[str, ProviderOptions]:
    """Providers that talk to a sandbox."""
    provider = partial(ProviderOptions, api_key=Secret(CREDENTIAL), timeouts=TimeoutOptions(**timeouts))
    return {
        "openrouter": provider(kind="openrouter", base_url=f"{address}/openrouter/api/v1"),
        "deepseek": provider(kind="deepseek", base_url=f"{address}/deepseek"),
        "plain": provider(kind="openai_compatible", base_url=f"{address}/openai/v1"),
    }
