"""Structured logs: one line a request, and one for whatever an operator has to know. No secret, no prompt."""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from types import TracebackType
from typing import Any, Final, Protocol, TextIO

import orjson
import structlog

from llm_service.observability.facts import RequestFinished
from llm_service.observability.options import ObservabilityOptions
from llm_service.runtime import Clock

LEVELS: Final = ("debug", "info", "warning", "error")
ExcInfo = BaseException | tuple[type[BaseException], BaseException, TracebackType | None] | bool | None


class Log(Protocol):
    """Where a room writes what operators should know: an event's name and its facts."""

    def debug(self, event: str, **facts: Any) -> None:
        """A detail."""

    def info(self, event: str, **facts: Any) -> None:
        """A normal event."""

    def warning(self, event: str, **facts: Any) -> None:
        """Something to look at."""

    def error(self, event: str, **facts: Any) -> None:
        """Something failed; ``exc_info`` carries the exception."""


def build_log(options: ObservabilityOptions, *, clock: Clock, stream: TextIO = sys.stderr) -> Log:
    """The process's log on a stream: JSON lines, or readable ones on a terminal."""
    text = options.log_format == "text" or (options.log_format == "auto" and stream.isatty())

    def stamp(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {"at": clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z"), **event}

    processors: list[Any] = [structlog.processors.add_log_level, stamp]
    if text:
        processors.append(structlog.dev.ConsoleRenderer(colors=stream.isatty(), timestamp_key="at"))
        factory: Any = structlog.PrintLoggerFactory(stream)
    else:
        processors += [structlog.processors.format_exc_info, _as_json]
        factory = structlog.BytesLoggerFactory(stream.buffer)
    level = getattr(logging, options.log_level.upper())
    wrapper = structlog.make_filtering_bound_logger(level)
    log: Log = structlog.wrap_logger(
        factory(), processors=processors, wrapper_class=wrapper, cache_logger_on_first_use=True
    )
    return log


def _as_json(_: Any, __: str, event: MutableMapping[str, Any]) -> bytes:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS)


class AccessLog:
    """One line for each request: who asked what of whom, how it ended, how long it took."""

    __slots__ = ("_log",)

    def __init__(self, log: Log) -> None:
        self._log = log

    def request_finished(self, fact: RequestFinished) -> None:
        """Write the line: ``info``, or ``warning`` where we or a provider failed."""
        error = fact.outcome.error
        say = self._log.info if error is None or error.fault == "caller" else self._log.warning
        say("request", **line_of(fact))


def line_of(fact: RequestFinished) -> Mapping[str, Any]:
    """The fact as a line's fields; what is unknown is left out."""
    outcome = fact.outcome
    usage, error = outcome.usage, outcome.error
    fields: dict[str, Any] = {
        "request_id": fact.request_id,
        "surface": fact.surface,
        "key_id": fact.key_id,
        "model": fact.model,
        "provider": fact.provider,
        "upstream_model": fact.upstream_model,
        "stream": fact.stream,
        "status": outcome.status,
        "duration_ms": round(fact.duration_ms, 2),
        "first_content_ms": None if fact.first_content_ms is None else round(fact.first_content_ms, 2),
    }
    if usage is not None:
        fields["input_tokens"] = usage.input_tokens
        fields["output_tokens"] = usage.output_tokens
    if outcome.cost is not None:
        fields["cost_usd"] = str(outcome.cost.usd)
    if error is not None:
        fields["error_code"] = error.code
        if error.fault != "caller":
            fields["error"] = error.message
    return {name: value for name, value in fields.items() if value is not None}
