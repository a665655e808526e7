"""The log of a process: one line for whatever an operator has to know. No secret, no prompt."""

import sys
from typing import Any, Protocol, TextIO

from llm_service.observability.level import RANKS, LevelOverride, Threshold
from llm_service.observability.lines import NO_REDACTION_BUT_LOOKS, Lines
from llm_service.observability.options import LogLevel, ObservabilityOptions
from llm_service.observability.outlet import Outlet
from llm_service.observability.redaction import Redaction
from llm_service.runtime import Clock


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


class ProcessLog:
    """The lines that are wanted, made and written one by one, from any thread. See :class:`Log`."""

    __slots__ = ("_lines", "_out", "_threshold")

    def __init__(self, lines: Lines, out: Outlet, threshold: Threshold) -> None:
        self._lines = lines
        self._out = out
        self._threshold = threshold

    def debug(self, event: str, **facts: Any) -> None:
        self._say("debug", event, facts)

    def info(self, event: str, **facts: Any) -> None:
        self._say("info", event, facts)

    def warning(self, event: str, **facts: Any) -> None:
        self._say("warning", event, facts)

    def error(self, event: str, **facts: Any) -> None:
        self._say("error", event, facts)

    def _say(self, level: LogLevel, event: str, facts: dict[str, Any]) -> None:
        if RANKS[level] >= self._threshold.least:
            self._out.say(self._lines.of(level, event, facts))


def build_log(
    options: ObservabilityOptions,
    *,
    clock: Clock,
    stream: TextIO = sys.stderr,
    worker: int | None = None,
    override: LevelOverride | None = None,
    redaction: Redaction = NO_REDACTION_BUT_LOOKS,
) -> Log:
    """The process's log on a stream: JSON lines, or readable ones on a terminal.

    ``worker``: the number of this process among several that write there; each line tells it. ``override``: the level
    that holds in place of the configured one, when there is one.
    """
    lines = Lines(options, clock=clock, redaction=redaction, worker=worker, on_terminal=stream.isatty())
    return ProcessLog(lines, Outlet(stream), Threshold(options.log_level, override or LevelOverride()))
