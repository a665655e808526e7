"""The access record: one line for each request, of known fields alone. No secret, and no prompt unless it is wanted."""

import sys
from typing import Any, Final, TextIO

from llm_service.domain import UsageRecord, Verdict, usd_text
from llm_service.observability.facts import Listener, RequestFinished, Said
from llm_service.observability.hints import HINTS
from llm_service.observability.level import RANKS, LevelOverride, Threshold
from llm_service.observability.lines import NO_REDACTION_BUT_LOOKS, as_text, json_line, of_worker
from llm_service.observability.logging import Log
from llm_service.observability.options import ObservabilityOptions
from llm_service.observability.outlet import Outlet
from llm_service.observability.redaction import Redaction
from llm_service.observability.stamps import Stamps
from llm_service.runtime import Clock

KEEP_S: Final = 0.05
KEEP_LINES: Final = 256
_INFO: Final = RANKS["info"]
_WARNING: Final = RANKS["warning"]


class AccessLog:
    """One line for each request: who asked what of whom, how it ended, how long it took, what it cost."""

    __slots__ = ("_log",)

    def __init__(self, log: Log) -> None:
        self._log = log

    def request_finished(self, fact: RequestFinished) -> None:
        """Write the line: ``info``, or ``warning`` where we or a provider failed."""
        say = self._log.warning if _failed(fact) else self._log.info
        fields: dict[str, Any] = {}
        add_fields(fields, fact, NO_REDACTION_BUT_LOOKS)
        say("request", **fields)

    def close(self) -> None:
        """Every line is written already."""


class JsonAccessLog:
    """The same lines as JSON, without the general log's machinery: every request pays for its line.

    Lines are written together, ``KEEP_S`` after the first of them or when there are ``KEEP_LINES``. Until then they are
    copied into one piece: to keep each as it was made tears the heap apart, and costs 3 µs a line. Their fields are
    known, and of all but a few nobody from outside chooses the text: those few alone are redacted (`add_fields`).
    """

    __slots__ = ("_clock", "_count", "_kept", "_out", "_own", "_redaction", "_stamps", "_threshold")

    def __init__(
        self,
        options: ObservabilityOptions,
        *,
        clock: Clock,
        stream: TextIO,
        worker: int | None = None,
        override: LevelOverride | None = None,
        redaction: Redaction = NO_REDACTION_BUT_LOOKS,
    ) -> None:
        self._clock = clock
        self._own = of_worker(worker)
        self._kept = bytearray()
        self._count = 0
        self._stamps = Stamps(clock)
        self._out = Outlet(stream)
        self._threshold = Threshold(options.log_level, override or LevelOverride())
        self._redaction = redaction

    def request_finished(self, fact: RequestFinished) -> None:
        """Keep the line to be written in a moment, if its level is wanted."""
        failed = _failed(fact)
        if (_WARNING if failed else _INFO) < self._threshold.least:
            return
        line: dict[str, Any] = {
            "at": self._stamps.now(),
            "level": "warning" if failed else "info",
            "event": "request",
            **self._own,
        }
        add_fields(line, fact, self._redaction)
        if not self._count:
            self._clock.call_later(KEEP_S, self.close)
        self._kept += json_line(line)
        self._count += 1
        if self._count >= KEEP_LINES:
            self.close()

    def close(self) -> None:
        """Write what is kept."""
        if self._count:
            kept, self._kept, self._count = self._kept, bytearray(), 0
            self._out.say(bytes(kept))


def build_access_log(
    options: ObservabilityOptions,
    *,
    log: Log,
    clock: Clock,
    stream: TextIO = sys.stderr,
    worker: int | None = None,
    override: LevelOverride | None = None,
    redaction: Redaction = NO_REDACTION_BUT_LOOKS,
) -> Listener:
    """The listener that writes the line of each request, in the log's format and to its stream."""
    if as_text(options, on_terminal=stream.isatty()):
        return AccessLog(log)
    return JsonAccessLog(options, clock=clock, stream=stream, worker=worker, override=override, redaction=redaction)


def add_fields(line: dict[str, Any], fact: RequestFinished, redaction: Redaction) -> None:
    """The fact as a line's fields; what is unknown is left out.

    What others wrote is redacted: names of models, which providers may be asked for whatever they are, and what
    providers complain of. Contents are redacted where they are put together.
    """
    outcome, upstream_model = fact.outcome, fact.upstream_model
    line["request_id"] = fact.request_id
    line["surface"] = fact.surface
    if upstream_model is not None:  # then the others are known as well
        line["key_id"] = fact.key_id
        line["model"] = redaction.often(fact.model or "")
        line["provider"] = fact.provider
        line["upstream_model"] = redaction.often(upstream_model)
    else:
        _add_asked(line, fact, redaction)
    line["stream"] = fact.stream
    line["status"] = outcome.status
    line["duration_ms"] = int(fact.duration_ms * 100.0 + 0.5) / 100  # to round to digits costs thrice as much
    if fact.first_content_ms is not None:
        line["first_content_ms"] = int(fact.first_content_ms * 100.0 + 0.5) / 100
    if fact.attempts != 1:
        line["attempts"] = fact.attempts
    if fact.trace_id is not None:
        line["trace_id"] = fact.trace_id
    if fact.record is not None:
        _add_record(line, fact.record)
    elif fact.cache != "bypass":
        line["cache"] = fact.cache
    if outcome.error is not None or outcome.late_error is not None:
        _add_errors(line, fact, redaction)
    if fact.verdicts:
        line["filters"] = [_found(one) for one in fact.verdicts]
    if fact.said is not None:
        _add_said(line, fact.said)


def _add_asked(line: dict[str, Any], fact: RequestFinished, redaction: Redaction) -> None:
    """Of a request that nobody can serve: who asked for what, as far as that is known."""
    if fact.key_id is not None:
        line["key_id"] = fact.key_id
    if fact.model is not None:
        line["model"] = redaction.often(fact.model)


def _add_record(line: dict[str, Any], record: UsageRecord) -> None:
    line["cache"] = record.cache
    line["input_tokens"] = record.input_tokens
    line["output_tokens"] = record.output_tokens
    line["cost_usd"] = usd_text(record.nano_usd)
    line["cost_source"] = record.cost_source
    line["overhead_ms"] = record.overhead_ms
    if record.queue_ms is not None:
        line["queue_ms"] = record.queue_ms


def _add_errors(line: dict[str, Any], fact: RequestFinished, redaction: Redaction) -> None:
    """Why it failed and what to do. The words for a caller's mistake may repeat what was sent: its code will do."""
    error, late = fact.outcome.error, fact.outcome.late_error
    if error is not None:
        line["error_code"] = error.code
        if error.fault != "caller":
            line["cause"] = redaction.often(error.message)
        line["hint"] = HINTS[error.code]
    if late is not None:
        line["late_error"] = redaction.often(late.message)


def _add_said(line: dict[str, Any], said: Said) -> None:
    line["prompt"] = said.prompt
    if said.answer:
        line["answer"] = said.answer


def _found(verdict: Verdict) -> str:
    """Which filter, on which side, what it did and what it had found: all of them words of the settings and our own."""
    found = "failed" if verdict.failed else ",".join(verdict.labels)
    return f"{verdict.filter} {verdict.on} {verdict.action} {found}"


def _failed(fact: RequestFinished) -> bool:
    error = fact.outcome.error
    return error is not None and error.fault != "caller"
