"""What the service tells about itself: facts, and the listeners that make logs of them."""

from llm_service.observability.facts import Listener, Listeners, RequestFinished
from llm_service.observability.libraries import LibraryLog
from llm_service.observability.logging import AccessLog, JsonAccessLog, Log, build_access_log, build_log
from llm_service.observability.options import ObservabilityOptions
from llm_service.observability.shared_stream import share_stream

__all__ = [
    "AccessLog",
    "JsonAccessLog",
    "LibraryLog",
    "Listener",
    "Listeners",
    "Log",
    "ObservabilityOptions",
    "RequestFinished",
    "build_access_log",
    "build_log",
    "share_stream",
]
