"""The metrics of the generative AI conventions, counted in this process from the requests that have ended.

They are counted apart from the service's own: theirs are other buckets, and labels that those do not have.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from llm_service.observability.facts import RequestFinished
from llm_service.observability.otlp.encoding import CUMULATIVE, Pieces, Value, attributes, nanos
from llm_service.observability.tracing.names import ATTRIBUTES, METRICS, OPERATIONS, Semconv, names_of
from llm_service.observability.tracing.spans import NO_FAILURE, Upstream
from llm_service.runtime import Clock

DURATION_S: Final = (
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
)  # fmt: skip
TOKENS: Final = tuple(float(4**power) for power in range(14))
FIRST_TOKEN_S: Final = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
)  # fmt: skip
PER_TOKEN_S: Final = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
MAX_SERIES: Final = 500
"""Of each metric; what comes beyond is told as that of the model ``other``."""
OTHER: Final = "other"


class Kind(NamedTuple):
    """A histogram of the conventions: by which of our words its series differ."""

    word: str
    unit: str
    bounds: tuple[float, ...]
    labels: tuple[str, ...]


_CALL: Final = ("operation", "provider", "request_model", "response_model", "error_type", "server_address")
_ANSWER: Final = ("operation", "provider", "request_model", "response_model", "error_type")
CLIENT_DURATION: Final = Kind("client_duration", "s", DURATION_S, _CALL)
CLIENT_TOKENS: Final = Kind("client_tokens", "{token}", TOKENS, (*_CALL, "token_type"))
CLIENT_FIRST_CHUNK: Final = Kind("client_first_chunk", "s", DURATION_S, _CALL)
SERVER_DURATION: Final = Kind("server_duration", "s", DURATION_S, _ANSWER)
SERVER_FIRST_TOKEN: Final = Kind("server_first_token", "s", FIRST_TOKEN_S, _ANSWER)
SERVER_PER_TOKEN: Final = Kind("server_per_token", "s", PER_TOKEN_S, _ANSWER)
KINDS: Final = (
    CLIENT_DURATION, CLIENT_TOKENS, CLIENT_FIRST_CHUNK, SERVER_DURATION, SERVER_FIRST_TOKEN, SERVER_PER_TOKEN,
)  # fmt: skip
Labels = tuple[str | None, ...]


class _Series:
    """How often values fell into each bucket; one more bucket than bounds."""

    __slots__ = ("counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0


class GenAiFigures:
    """Listens to requests, and tells the metrics of the conventions: sums since it was made."""

    def __init__(self, semconv: Semconv, upstreams: Mapping[str, Upstream], clock: Clock) -> None:
        self._upstreams = upstreams
        self._clock = clock
        self._since = nanos(clock.time())
        self._names = names_of(ATTRIBUTES, semconv)
        self._metrics = names_of(METRICS, semconv)
        self._series: dict[Kind, dict[Labels, _Series]] = {kind: {} for kind in KINDS if kind.word in self._metrics}

    # -- counting

    def request_finished(self, fact: RequestFinished) -> None:
        """Count what was asked, and the calls of upstreams that it took."""
        if fact.request is None:
            return
        operation = OPERATIONS[fact.request.operation]
        self._count_answer(fact, operation)
        if fact.tries:
            self._count_calls(fact, operation)

    def close(self) -> None:
        """Nothing is kept back."""

    def _count_answer(self, fact: RequestFinished, operation: str) -> None:
        """The side that serves: from the request's last byte to the end of its answer, whoever gave it."""
        outcome = fact.outcome
        provider, model = fact.provider, fact.upstream_model
        name = OTHER if provider is None else self._upstreams.get(provider, Upstream(provider)).name
        code = None if outcome.error is None else outcome.error.code
        labels = (operation, name, model or OTHER, outcome.response_model, code)
        self._add(SERVER_DURATION, labels, fact.duration_ms / 1000)
        first_ms = fact.first_content_ms
        if fact.stream and first_ms is not None:
            self._add(SERVER_FIRST_TOKEN, labels, first_ms / 1000)
            if outcome.usage is not None and outcome.usage.output_tokens > 1:
                rest_s = (fact.duration_ms - first_ms) / 1000
                self._add(SERVER_PER_TOKEN, labels, rest_s / (outcome.usage.output_tokens - 1))

    def _count_calls(self, fact: RequestFinished, operation: str) -> None:
        """The side that asks: each call of an upstream, and the tokens that it told of."""
        outcome, end = fact.outcome, fact.received_at + fact.duration_ms / 1000
        for one in fact.tries:
            upstream = self._upstreams.get(one.candidate.provider) or Upstream(one.candidate.provider)
            answered = one.error_code is None
            failed_by = outcome.error.code if answered and outcome.error is not None else one.error_code
            code = None if failed_by in NO_FAILURE else failed_by
            response_model = outcome.response_model if answered else None
            labels = (operation, upstream.name, one.candidate.upstream_model, response_model, code, upstream.address)
            ended = end if answered or one.ended_at is None else one.ended_at
            self._add(CLIENT_DURATION, labels, ended - one.begun_at)
            if answered and fact.stream and one.ended_at is not None:
                self._add(CLIENT_FIRST_CHUNK, labels, one.ended_at - one.begun_at)
            usage = outcome.usage if answered else one.usage
            if usage is not None:
                self._add(CLIENT_TOKENS, (*labels, "input"), usage.input_tokens)
                if operation != "embeddings":
                    self._add(CLIENT_TOKENS, (*labels, "output"), usage.output_tokens)

    def _add(self, kind: Kind, labels: Labels, value: float) -> None:
        of_kind = self._series.get(kind)
        if of_kind is None:
            return
        series = of_kind.get(labels)
        if series is None:
            if len(of_kind) >= MAX_SERIES:
                labels = (*labels[:2], OTHER, None, *labels[4:])
            series = of_kind.setdefault(labels, _Series(kind.bounds))
        series.counts[bisect_left(kind.bounds, value)] += 1
        series.sum += value

    # -- telling

    async def metrics(self) -> Sequence[bytes]:
        """Each metric that has figures, in OTLP's JSON form. Gives others a turn on the event loop now and then."""
        now, pieces = nanos(self._clock.time()), Pieces()
        return [await self._metric(kind, series, pieces, now) for kind, series in self._series.items() if series]

    async def _metric(self, kind: Kind, series: Mapping[Labels, _Series], pieces: Pieces, now: str) -> bytes:
        there = tuple(series.items())  # more may come meanwhile
        points = await pieces.of(self._point(kind, labels, one, now) for labels, one in there)
        return orjson.dumps(
            {
                "name": self._metrics[kind.word],
                "unit": kind.unit,
                "histogram": {"aggregationTemporality": CUMULATIVE, "dataPoints": points},
            }
        )

    def _point(self, kind: Kind, labels: Labels, series: _Series, now: str) -> dict[str, Any]:
        named: dict[str, Value] = {
            self._names[word]: value for word, value in zip(kind.labels, labels, strict=True) if value is not None
        }
        return {
            "attributes": attributes(named),
            "startTimeUnixNano": self._since,
            "timeUnixNano": now,
            "count": str(sum(series.counts)),
            "sum": series.sum,
            "bucketCounts": [str(count) for count in series.counts],
            "explicitBounds": kind.bounds,
        }
