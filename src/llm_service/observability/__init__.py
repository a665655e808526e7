"""What the service tells about itself: facts, and the listeners that make logs of them."""

from llm_service.observability.access_log import AccessLog, JsonAccessLog, build_access_log
from llm_service.observability.facts import Listener, Listeners, RequestFinished, Said
from llm_service.observability.level import RANKS, LevelOverride
from llm_service.observability.libraries import LibraryLog
from llm_service.observability.log_file import open_log_file
from llm_service.observability.logging import Log, build_log
from llm_service.observability.options import LogLevel, ObservabilityOptions
from llm_service.observability.redaction import Redaction
from llm_service.observability.shared_stream import share_stream

__all__ = [
    "RANKS",
    "AccessLog",
    "JsonAccessLog",
    "LevelOverride",
    "LibraryLog",
    "Listener",
    "Listeners",
    "Log",
    "LogLevel",
    "ObservabilityOptions",
    "Redaction",
    "RequestFinished",
    "Said",
    "build_access_log",
    "build_log",
    "open_log_file",
    "share_stream",
]
