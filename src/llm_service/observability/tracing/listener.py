"""The listener that makes spans of the requests that are recorded."""

from collections.abc import Callable, Sequence

from llm_service.observability.facts import RequestFinished
from llm_service.observability.tracing.spans import Spans
from llm_service.runtime import OnFailure


class SpanListener:
    """Hands the spans of recorded requests on. A failure to make them is reported, and costs no request."""

    __slots__ = ("_report", "_send", "_spans")

    def __init__(self, spans: Spans, send: Callable[[Sequence[bytes]], None], report: OnFailure) -> None:
        self._spans = spans
        self._send = send
        self._report = report

    def request_finished(self, fact: RequestFinished) -> None:
        """Make its spans, if it is recorded."""
        if fact.trace is None:
            return
        try:
            self._send(self._spans.of(fact, fact.trace))
        except Exception as defect:  # noqa: BLE001 - reported; the request has its answer all the same
            self._report("spans", defect)

    def close(self) -> None:
        """They are handed on already."""
