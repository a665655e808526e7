"""Events and figures of the running service in the schema."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Self

import strawberry

from llm_service.api.graphql.enums import EventKindWord
from llm_service.api.graphql.scalars import Json, Moment
from llm_service.services import Heard, MetricsSnapshot, NamedFigures


@strawberry.type(name="ServiceEvent", description="Something that happened in the service.")
class ServiceEventType:
    kind: EventKindWord
    at: Moment
    worker: int | None = strawberry.field(description="Which of several workers has seen it.")
    dropped: int = strawberry.field(description="Events before it that were lost since this listener is too slow.")
    data: Json = strawberry.field(description="What `GET /admin/events` has as its data; it depends on the kind.")

    @classmethod
    def of(cls, heard: Heard) -> Self:
        event = heard.event
        return cls(
            kind=EventKindWord(event.kind),
            at=_moment(event.at),
            worker=event.worker,
            dropped=heard.dropped,
            data=Json(dict(event.data)),
        )


@strawberry.type(name="NamedFigures", description="How one provider or model does; null where it had no requests.")
class NamedFiguresType:
    name: str
    requests_per_s: float
    error_ratio: float | None
    latency_p95_s: float | None

    @classmethod
    def all(cls, figures: Sequence[NamedFigures]) -> list[Self]:
        return [
            cls(
                name=one.name,
                requests_per_s=one.requests_per_s,
                error_ratio=one.error_ratio,
                latency_p95_s=one.latency_p95_s,
            )
            for one in figures
        ]


@strawberry.type(
    name="MetricsSnapshot",
    description="All workers of a machine at a moment: seconds, US dollars; null where nothing was there to tell.",
)
class MetricsSnapshotType:
    at: Moment
    interval_s: float = strawberry.field(description="What is counted per second or hour is of so many seconds.")
    window_s: float = strawberry.field(description="Ratios, quantiles and the lists by name are of so many seconds.")
    requests_per_s: float
    errors_per_s: float
    error_ratio: float | None
    latency_p50_s: float | None
    latency_p95_s: float | None
    latency_p99_s: float | None
    first_chunk_p50_s: float | None
    first_chunk_p95_s: float | None
    input_tokens_per_s: float
    output_tokens_per_s: float
    cost_usd_per_h: float
    hit_ratio: float | None = strawberry.field(description="Hits of the cache among hits and misses.")
    in_flight: int = strawberry.field(description="Requests that are being answered.")
    workers: int
    by_provider: list[NamedFiguresType] = strawberry.field(description="The ten with the most requests.")
    by_model: list[NamedFiguresType] = strawberry.field(description="The ten with the most requests.")

    @classmethod
    def of(cls, snapshot: MetricsSnapshot) -> Self:
        return cls(
            at=_moment(snapshot.at),
            interval_s=snapshot.interval_s,
            window_s=snapshot.window_s,
            requests_per_s=snapshot.requests_per_s,
            errors_per_s=snapshot.errors_per_s,
            error_ratio=snapshot.error_ratio,
            latency_p50_s=snapshot.latency_p50_s,
            latency_p95_s=snapshot.latency_p95_s,
            latency_p99_s=snapshot.latency_p99_s,
            first_chunk_p50_s=snapshot.first_chunk_p50_s,
            first_chunk_p95_s=snapshot.first_chunk_p95_s,
            input_tokens_per_s=snapshot.input_tokens_per_s,
            output_tokens_per_s=snapshot.output_tokens_per_s,
            cost_usd_per_h=snapshot.cost_usd_per_h,
            hit_ratio=snapshot.hit_ratio,
            in_flight=snapshot.in_flight,
            workers=snapshot.workers,
            by_provider=NamedFiguresType.all(snapshot.by_provider),
            by_model=NamedFiguresType.all(snapshot.by_model),
        )


def _moment(at: float) -> Moment:
    return Moment(datetime.fromtimestamp(round(at, 3), UTC))
