"""What the service tells about itself: facts, and the listeners that make logs of them."""

from llm_service.observability.access_log import AccessLog, JsonAccessLog, build_access_log
from llm_service.observability.contents import Contents, Spoken
from llm_service.observability.facts import AlertChanged, Listener, Listeners, RequestFinished, Said
from llm_service.observability.level import RANKS, LevelOverride
from llm_service.observability.libraries import LibraryLog
from llm_service.observability.log_file import open_log_file
from llm_service.observability.logging import Log, build_log
from llm_service.observability.metrics import (
    EVICTIONS_AT,
    EVICTIONS_TOLD_AT,
    Arena,
    Availability,
    Counter,
    Distribution,
    Exemplar,
    Family,
    FileLocks,
    HttpMeter,
    Labels,
    Meters,
    Metric,
    MetricsSource,
    ProcessFigures,
    Reading,
    RequestMeter,
    Sampler,
    Scrape,
    SharedTotal,
    SlowSource,
    Snapshot,
    Source,
    Whole,
    catalog,
)
from llm_service.observability.options import LogLevel, ObservabilityOptions
from llm_service.observability.otlp.encoding import Envelope
from llm_service.observability.otlp.exporter import Answer, Exporter, ExporterParts, Unreachable
from llm_service.observability.otlp.figures import GenAiFigures
from llm_service.observability.otlp.snapshots import metrics_of
from llm_service.observability.redaction import Redaction
from llm_service.observability.shared_stream import share_stream
from llm_service.observability.tracing.listener import SpanListener
from llm_service.observability.tracing.names import provider_name
from llm_service.observability.tracing.spans import SpanParts, Spans, Upstream
from llm_service.observability.tracing.trace import Trace, Tracer

__all__ = [
    "EVICTIONS_AT",
    "EVICTIONS_TOLD_AT",
    "RANKS",
    "AccessLog",
    "AlertChanged",
    "Answer",
    "Arena",
    "Availability",
    "Contents",
    "Counter",
    "Distribution",
    "Envelope",
    "Exemplar",
    "Exporter",
    "ExporterParts",
    "Family",
    "FileLocks",
    "GenAiFigures",
    "HttpMeter",
    "JsonAccessLog",
    "Labels",
    "LevelOverride",
    "LibraryLog",
    "Listener",
    "Listeners",
    "Log",
    "LogLevel",
    "Meters",
    "Metric",
    "MetricsSource",
    "ObservabilityOptions",
    "ProcessFigures",
    "Reading",
    "Redaction",
    "RequestFinished",
    "RequestMeter",
    "Said",
    "Sampler",
    "Scrape",
    "SharedTotal",
    "SlowSource",
    "Snapshot",
    "Source",
    "SpanListener",
    "SpanParts",
    "Spans",
    "Spoken",
    "Trace",
    "Tracer",
    "Unreachable",
    "Upstream",
    "Whole",
    "build_access_log",
    "build_log",
    "catalog",
    "metrics_of",
    "open_log_file",
    "provider_name",
    "share_stream",
]
