"""Structured logs: one line a request, and one for whatever an operator has to know. No secret, no prompt."""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any, Final, Protocol, TextIO

import orjson
import structlog

from llm_service.observability.facts import Listener, RequestFinished
from llm_service.observability.options import ObservabilityOptions
from llm_service.observability.outlet import Outlet
from llm_service.runtime import Clock

KEEP_S: Final = 0.05
KEEP_LINES: Final = 256


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


def build_log(
    options: ObservabilityOptions, *, clock: Clock, stream: TextIO = sys.stderr, worker: int | None = None
) -> Log:
    """The process's log on a stream: JSON lines, or readable ones on a terminal.

    ``worker``: the number of this process among several that write there; each line tells it.
    """
    stamps = _Stamps(clock)
    own = _of_worker(worker)

    def stamp(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {"at": stamps.now(), **own, **event}

    processors: list[Any] = [structlog.processors.add_log_level, stamp]
    if _as_text(options, stream):
        # The renderer's own choice of a traceback shows the values of variables: prompts and credentials.
        plain = structlog.dev.plain_traceback
        renderer = structlog.dev.ConsoleRenderer(colors=stream.isatty(), timestamp_key="at", exception_formatter=plain)
        processors.append(renderer)
        factory: Any = structlog.PrintLoggerFactory(Outlet(stream))  # type: ignore[arg-type]
    else:
        processors += [structlog.processors.format_exc_info, _as_json]
        factory = structlog.BytesLoggerFactory(Outlet(stream.buffer))  # type: ignore[arg-type]
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
        say = self._log.warning if _failed(fact) else self._log.info
        say("request", **line_of(fact))

    def close(self) -> None:
        """Every line is written already."""


class JsonAccessLog:
    """The same lines as JSON, without the general log's machinery: every request pays for its line.

    Lines are written together, ``KEEP_S`` after the first of them or when there are ``KEEP_LINES``.
    """

    __slots__ = ("_clock", "_infos", "_lines", "_out", "_own", "_stamps", "_warnings")

    def __init__(
        self, options: ObservabilityOptions, *, clock: Clock, stream: TextIO, worker: int | None = None
    ) -> None:
        self._clock = clock
        self._own = _of_worker(worker)
        self._lines: list[bytes] = []
        self._stamps = _Stamps(clock)
        self._out = Outlet(stream.buffer)
        self._infos = options.log_level in ("debug", "info")
        self._warnings = options.log_level != "error"

    def request_finished(self, fact: RequestFinished) -> None:
        """Keep the line to be written in a moment, if its level is wanted."""
        failed = _failed(fact)
        if self._warnings if failed else self._infos:
            line = {
                "at": self._stamps.now(),
                "level": "warning" if failed else "info",
                "event": "request",
                **self._own,
                **line_of(fact),
            }
            if not self._lines:
                self._clock.call_later(KEEP_S, self.close)
            self._lines.append(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
            if len(self._lines) >= KEEP_LINES:
                self.close()

    def close(self) -> None:
        """Write what is kept."""
        if self._lines:
            lines, self._lines = self._lines, []
            self._out.write(b"".join(lines))
            self._out.flush()


def build_access_log(
    options: ObservabilityOptions,
    *,
    log: Log,
    clock: Clock,
    stream: TextIO = sys.stderr,
    worker: int | None = None,
) -> Listener:
    """The listener that writes the line of each request, in the log's format and to its stream."""
    if _as_text(options, stream):
        return AccessLog(log)
    return JsonAccessLog(options, clock=clock, stream=stream, worker=worker)


def _of_worker(worker: int | None) -> dict[str, int]:
    return {} if worker is None else {"worker": worker}


def _failed(fact: RequestFinished) -> bool:
    error = fact.outcome.error
    return error is not None and error.fault != "caller"


def _as_text(options: ObservabilityOptions, stream: TextIO) -> bool:
    return options.log_format == "text" or (options.log_format == "auto" and stream.isatty())


class _Stamps:
    """The wall clock as RFC 3339 text in milliseconds; the part down to the second is made once a second."""

    __slots__ = ("_clock", "_second", "_text")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._second = -1
        self._text = ""

    def now(self) -> str:
        milliseconds = int(self._clock.time() * 1000)
        second, rest = divmod(milliseconds, 1000)
        if second != self._second:
            self._second = second
            self._text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._text}.{rest:03d}Z"


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
    }
    if fact.first_content_ms is not None:
        fields["first_content_ms"] = round(fact.first_content_ms, 2)
    if fact.attempts != 1:
        fields["attempts"] = fact.attempts
    if usage is not None:
        fields["input_tokens"] = usage.input_tokens
        fields["output_tokens"] = usage.output_tokens
    if outcome.cost is not None:
        fields["cost_usd"] = str(outcome.cost.usd)
    if error is not None:
        fields["error_code"] = error.code
        if error.fault != "caller":
            fields["error"] = error.message
    if outcome.late_error is not None:
        fields["late_error"] = outcome.late_error.message
    if fact.upstream_model is not None:  # then the others are known as well
        return fields
    return {name: value for name, value in fields.items() if value is not None}
