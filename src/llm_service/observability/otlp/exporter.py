"""Sends spans and metrics to a collector by OTLP over HTTP: in batches, behind the requests' backs, within bounds."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple, Protocol

import orjson

from llm_service.domain import fact
from llm_service.observability.logging import Log
from llm_service.observability.otlp.encoding import Envelope
from llm_service.runtime import Clock, OnFailure, TimerHandle

BATCH_SPANS: Final = 512
BATCH_BYTES: Final = 1024 * 1024
"""Spans with contents are large, and proxies before a collector take no more as a rule; one span always goes."""
MAX_SPANS: Final = 8192
MAX_BYTES: Final = 16 * 1024 * 1024
LAST_S: Final = 3.0
"""What the last sending may take when the service ends."""
AGAIN: Final = frozenset((429, 502, 503, 504))
"""What may be sent once more (OTLP 1.7, section OTLP/HTTP Response)."""
TRACES: Final = "/v1/traces"
METRICS: Final = "/v1/metrics"


class Answer(NamedTuple):
    """What the collector says."""

    status: int
    body: bytes


class Unreachable(Exception):
    """The collector did not answer; the text says why."""


class Post(Protocol):
    """Posts JSON to the collector."""

    async def __call__(self, path: str, body: bytes) -> Answer:
        """Its answer, within a bounded time. Raises Unreachable."""


Measure = Callable[[], Awaitable[Sequence[bytes]]]
"""The metrics as they are now, each in OTLP's JSON form."""


@fact
class ExporterParts:
    """What exporting needs. ``interval_s``: between two sendings; a full batch of spans goes at once."""

    post: Post
    envelope: Envelope
    measure: Measure
    interval_s: float
    clock: Clock
    log: Log
    report: OnFailure


class Exporter:
    """Keeps spans until they are sent. Nobody waits for it; what there is no room for is counted and dropped.

    A collector that is away, or has too much to do, gets the same spans again at the next time, as long as there is
    room. Of spans and of metrics the log has one line when they begin to fail, and one when they are sent again.
    """

    def __init__(self, parts: ExporterParts) -> None:
        self._parts = parts
        self._spans: deque[bytes] = deque()
        self._bytes = 0
        self._due = asyncio.Event()
        self._timer: TimerHandle | None = None
        self._failing: set[str] = set()  # paths
        self.dropped = 0
        """Spans that never got there."""

    def add(self, spans: Sequence[bytes]) -> None:
        """Take the spans of one request: all, or none where there is no room."""
        size = sum(map(len, spans))
        if len(self._spans) + len(spans) > MAX_SPANS or self._bytes + size > MAX_BYTES:
            self._drop(len(spans), TRACES, "there are more than can be sent")
            return
        self._spans += spans
        self._bytes += size
        if len(self._spans) >= BATCH_SPANS and TRACES not in self._failing:
            self._due.set()

    async def run(self) -> None:
        """Send from time to time, until it is cancelled."""
        while True:
            if self._timer is None:
                self._timer = self._parts.clock.call_later(self._parts.interval_s, self._is_time)
            await self._due.wait()
            self._due.clear()
            if self._timer is None:  # not only because a batch is full
                await self._try(self.send_metrics)
            await self._try(self.send_spans)

    async def _try(self, send: Callable[[], Awaitable[None]]) -> None:
        try:
            await send()
        except Exception as defect:  # noqa: BLE001 - told; the next time may go well, and the other kind as well
            self._parts.report("telemetry", defect)

    def _is_time(self) -> None:
        self._timer = None
        self._due.set()

    async def aclose(self) -> None:
        """Send what is left, within ``LAST_S``; call it when ``run`` has ended."""
        if self._timer is not None:
            self._timer.cancel()
        try:
            async with asyncio.timeout(LAST_S):
                await self._try(self.send_spans)  # first: of metrics but the last moments are missing
                await self._try(self.send_metrics)
        except TimeoutError:
            self._tell(TRACES, "the collector does not answer in time")
        self.dropped += len(self._spans)
        self._spans.clear()
        if self.dropped:
            self._parts.log.warning("telemetry lost", spans=self.dropped)

    async def send_spans(self) -> None:
        """Send all spans that are there, unless one batch does not get through."""
        while self._spans:
            batch = self._take_batch()
            sent = False
            try:
                sent = await self._delivered(TRACES, self._parts.envelope.traces(batch), spans=len(batch))
            finally:
                if not sent:
                    self._spans.extendleft(reversed(batch))
                else:
                    self._bytes -= sum(map(len, batch))
            if not sent:
                return

    def _take_batch(self) -> list[bytes]:
        batch = [self._spans.popleft()]
        size = len(batch[0])
        while self._spans and len(batch) < BATCH_SPANS and (size := size + len(self._spans[0])) <= BATCH_BYTES:
            batch.append(self._spans.popleft())
        return batch

    async def send_metrics(self) -> None:
        """Send the metrics as they are now; they are sums from a beginning, so that a lost sending loses nothing."""
        metrics = await self._parts.measure()
        if metrics:
            await self._delivered(METRICS, self._parts.envelope.metrics(metrics), spans=0)

    async def _delivered(self, path: str, body: bytes, *, spans: int) -> bool:
        """Whether this is done with: it got there, or never will."""
        try:
            answer = await self._parts.post(path, body)
        except Unreachable as why:
            self._tell(path, str(why))
            return False
        if answer.status in AGAIN:
            self._tell(path, f"the collector answers with status {answer.status}")
            return False
        if not 200 <= answer.status < 300:
            self._drop(spans, path, f"the collector answers with status {answer.status}")
        elif spans and (refused := _refused(answer.body)) > 0:
            self._drop(refused, path, "the collector rejects some")
        elif path in self._failing:
            self._failing.remove(path)
            self._parts.log.info("telemetry is sent again", path=path, dropped_spans=self.dropped)
        return True

    def _drop(self, spans: int, path: str, reason: str) -> None:
        self.dropped += spans
        self._tell(path, reason)

    def _tell(self, path: str, reason: str) -> None:
        if path not in self._failing:
            self._failing.add(path)
            self._parts.log.warning("telemetry is not sent", path=path, reason=reason, dropped_spans=self.dropped)


def _refused(body: bytes) -> int:
    """Spans that a collector took the request without (``partialSuccess``); nothing where it says nothing clear."""
    try:
        said = orjson.loads(body) if body else {}
        return int(said["partialSuccess"]["rejectedSpans"])
    except (KeyError, TypeError, ValueError):
        return 0
