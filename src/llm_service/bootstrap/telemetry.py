"""Builds what is told to a collector: traces of requests, and metrics, by OTLP."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from llm_service import __version__
from llm_service.api import status_of
from llm_service.bootstrap.ground import Ground
from llm_service.config import Settings
from llm_service.domain import fact
from llm_service.observability import (
    Answer,
    Envelope,
    Exporter,
    ExporterParts,
    GenAiFigures,
    Listener,
    MetricsSource,
    SpanListener,
    SpanParts,
    Spans,
    Tracer,
    Unreachable,
    Upstream,
    metrics_of,
    provider_name,
)
from llm_service.providers import ProviderOptions, base_url_for, server_for
from llm_service.runtime import OnFailure
from llm_service.transport import HttpRequest, HttpTransport, TransportError, ask_once

NAME: Final = "llm-service"
POST_S: Final = 10.0
CONNECT_S: Final = 5.0
CONNECTIONS: Final = 2
PORTS: Final[Mapping[str, int]] = MappingProxyType({"http": 80, "https": 443})


@fact
class Telemetry:
    """What is told of requests to others. ``tracer``: ``None`` where no trace is kept or passed on."""

    tracer: Tracer | None = None
    listeners: Sequence[Listener] = ()
    sending: "Sending | None" = None


class Sending:
    """The connection to the collector, and the work that sends."""

    def __init__(self, exporter: Exporter, transport: HttpTransport) -> None:
        self._exporter = exporter
        self._transport = transport
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Send from now on."""
        self._running = asyncio.get_running_loop().create_task(self._exporter.run(), name="telemetry")

    async def aclose(self) -> None:
        """Send what is left, within a bounded time, and close the connection."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        await self._exporter.aclose()
        await self._transport.aclose()


def build_telemetry(
    ground: Ground,
    *,
    figures: MetricsSource | None,
    replaced: Callable[[], bool],
    on_failure: OnFailure,
    worker: int | None,
) -> Telemetry:
    """Tracing and telemetry under these settings; nothing at all where they ask for none.

    ``figures``: the service's own metrics, where this process is the one that tells them. ``replaced``: other settings
    hold by now, with metrics of their own.
    """
    settings = ground.settings
    options = settings.observability
    propagates = any(one.propagate_trace for one in settings.providers.values())
    if options.otlp_endpoint is None and not propagates:
        return Telemetry()
    records = options.otlp_endpoint is not None
    tracer = Tracer(ratio=options.trace_sample_ratio, records=records, propagates=propagates, dice=ground.dice)
    if options.otlp_endpoint is None:
        return Telemetry(tracer=tracer)
    upstreams = {name: upstream_of(name, one) for name, one in settings.providers.items()}
    counted = GenAiFigures(options.semconv, upstreams, ground.clock)

    async def measure() -> Sequence[bytes]:
        if replaced():
            return ()
        own = () if figures is None else await metrics_of(await figures.read())
        return [*own, *await counted.metrics()]

    transport = HttpTransport(max_connections=CONNECTIONS, on_failure=on_failure)
    exporter = Exporter(
        ExporterParts(
            post=Posting(transport, options.otlp_endpoint, options.otlp_headers),
            envelope=envelope_of(ground, worker),
            measure=measure,
            interval_s=options.otlp_interval_s,
            clock=ground.clock,
            log=ground.log,
            report=on_failure,
        )
    )
    return Telemetry(
        tracer=tracer,
        listeners=(SpanListener(build_spans(settings, ground, upstreams), exporter.add, on_failure), counted),
        sending=Sending(exporter, transport),
    )


def build_spans(settings: Settings, ground: Ground, upstreams: Mapping[str, Upstream]) -> Spans:
    """What makes spans of requests."""
    return Spans(
        SpanParts(
            semconv=settings.observability.semconv,
            upstreams=upstreams,
            status_of=status_of,
            clock=ground.clock,
        )
    )


def envelope_of(ground: Ground, worker: int | None) -> Envelope:
    """Who sends: this process, whatever its settings."""
    resource: dict[str, str | int] = {
        "service.name": NAME,
        "service.version": __version__,
        "service.instance.id": ground.stores.ledger.writer,
    }
    if worker is not None:
        resource["llm_service.worker"] = worker
    return Envelope(resource, scope="llm_service", version=__version__)


def upstream_of(name: str, options: ProviderOptions) -> Upstream:
    """A provider as the conventions name it."""
    parts = urlsplit(base_url_for(name, options))
    kind = options.kind or "openai_compatible"
    known = server_for(name, options).name if kind == "openai_compatible" else kind
    return Upstream(provider_name(known, name), parts.hostname, parts.port or PORTS[parts.scheme])


class Posting:
    """Posts to the collector; see :class:`Post`."""

    def __init__(self, transport: HttpTransport, endpoint: str, headers: Mapping[str, str]) -> None:
        self._transport = transport
        self._endpoint = endpoint.rstrip("/")
        self._headers = {
            "content-type": "application/json",
            "user-agent": f"{NAME}/{__version__}",
            "accept": "*/*",
            **headers,
        }

    async def __call__(self, path: str, body: bytes) -> Answer:
        """Its answer within ``POST_S``. Raises Unreachable."""
        request = HttpRequest(
            method="POST", url=f"{self._endpoint}{path}", headers=self._headers, body=body, connect_s=CONNECT_S
        )
        try:
            posted = await ask_once(self._transport, request, within_s=POST_S)
        except TransportError as error:
            raise Unreachable(str(error)) from error
        except TimeoutError:
            raise Unreachable(f"the collector does not answer within {POST_S:g} s") from None
        return Answer(posted.status, posted.body)
