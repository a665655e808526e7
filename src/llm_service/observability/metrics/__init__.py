"""Figures of requests, cache, providers, limits, money, stores and processes: counted here, read as one whole."""

from llm_service.observability.metrics import catalog
from llm_service.observability.metrics.arena import Arena, FileLocks
from llm_service.observability.metrics.availability import Availability
from llm_service.observability.metrics.exposition import Exposition
from llm_service.observability.metrics.http import HttpMeter
from llm_service.observability.metrics.machine import EVICTIONS_AT, EVICTIONS_TOLD_AT, SharedTotal
from llm_service.observability.metrics.meters import Counter, Exemplar, Histogram, Meters, Reading
from llm_service.observability.metrics.metric import Kind, Merge, Metric
from llm_service.observability.metrics.process import ProcessFigures
from llm_service.observability.metrics.requests import RequestMeter
from llm_service.observability.metrics.sampler import Rising, Sampler, SlowSource, Source
from llm_service.observability.metrics.scrape import Scrape
from llm_service.observability.metrics.snapshot import Distribution, Family, Labels, Snapshot
from llm_service.observability.metrics.whole import MetricsSource, Whole

__all__ = [
    "EVICTIONS_AT",
    "EVICTIONS_TOLD_AT",
    "Arena",
    "Availability",
    "Counter",
    "Distribution",
    "Exemplar",
    "Exposition",
    "Family",
    "FileLocks",
    "Histogram",
    "HttpMeter",
    "Kind",
    "Labels",
    "Merge",
    "Meters",
    "Metric",
    "MetricsSource",
    "ProcessFigures",
    "Reading",
    "RequestMeter",
    "Rising",
    "Sampler",
    "Scrape",
    "SharedTotal",
    "SlowSource",
    "Snapshot",
    "Source",
    "Whole",
    "catalog",
]
