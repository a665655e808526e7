"""Providers and health in the schema."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Self

import strawberry

from llm_service.api.graphql.context import Info
from llm_service.api.graphql.enums import ConditionWord, ProviderStateWord
from llm_service.api.graphql.scalars import Count, Json, Moment
from llm_service.api.graphql.state_types import Model
from llm_service.domain import allows
from llm_service.services import ProviderSeen, health_object


@strawberry.type(description="How a provider is; requests and times are those of the answering process, last minute.")
class ProviderHealth:
    state: ConditionWord
    cause: str | None = strawberry.field(description="Why it is not `OK`, in words.")
    since: Moment | None
    requests: int
    error_ratio: float | None = strawberry.field(description="Null: nothing was asked of it.")
    first_content_p50_s: float | None = strawberry.field(
        description="Half of the answers began within so many seconds."
    )
    first_content_p95_s: float | None
    in_flight: int = strawberry.field(description="Requests that run.")
    waiting: int = strawberry.field(description="Requests that wait for a place.")
    breaker: str = strawberry.field(description="The worst of its deployments: `closed`, `half_open` or `open`.")
    breakers: Json = strawberry.field(description="Those that are not closed, as `GET /health` has them.")
    balance: Json | None = strawberry.field(description="What the account has, as `GET /health` has it.")
    last_error: Json | None = strawberry.field(description="Code and moment, as `GET /health` has it.")
    checked_at: Moment | None = strawberry.field(description="When a free endpoint was asked last.")

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """From what REST tells."""
        return cls(
            state=ConditionWord(told["state"]),
            cause=told["cause"],
            since=_moment(told["since"]),
            requests=told["requests"],
            error_ratio=told["error_ratio"],
            first_content_p50_s=told["first_content_p50_s"],
            first_content_p95_s=told["first_content_p95_s"],
            in_flight=told["in_flight"],
            waiting=told["waiting"],
            breaker=told["breaker"],
            breakers=Json(told["breakers"]),
            balance=told["balance"],
            last_error=told["last_error"],
            checked_at=_moment(told["checked_at"]),
        )


@strawberry.type(description="Whom models are bought from.")
class Provider:
    name: str
    kind: str = strawberry.field(description="Which dialect it speaks.")
    state: ProviderStateWord
    configured: ProviderStateWord = strawberry.field(description="What the settings say.")
    overridden_since: Moment | None = strawberry.field(
        description="When it was decided at run time that `state` holds in place of `configured`; null: it was not."
    )
    running: int | None = strawberry.field(
        description="Requests that run, in all processes while it is drained; null: other machines are not heard of."
    )
    drained: bool | None = strawberry.field(
        description="Nothing new begins, and nothing runs any more; null: not here, and other machines may be at it."
    )
    health: ProviderHealth

    @classmethod
    def of(cls, seen: ProviderSeen) -> Self:
        """What the service knows of one."""
        return cls(
            name=seen.name,
            kind=seen.health.kind,
            state=ProviderStateWord(seen.state),
            configured=ProviderStateWord(seen.configured),
            overridden_since=None if seen.override is None else _moment(seen.override.since),
            running=seen.health.running,
            drained=seen.health.drained,
            health=ProviderHealth.of(health_object(seen.health)),
        )

    @strawberry.field(description="Those of its models that the caller may use; none while it gets no requests.")
    async def models(self, info: Info) -> list[Model]:
        key = info.context.caller.key
        entries = await info.context.models()
        return [Model.of(one) for one in entries if one.provider == self.name and allows(key, one.info.id)]


@strawberry.type(description="Which settings the process goes by.")
class ConfigState:
    generation: int = strawberry.field(description="1 at the start, one more with each reload.")
    loaded_at: Moment


@strawberry.type(description="By how many milliseconds the process is late with what it is to do.")
class EventLoopLag:
    mean: float = strawberry.field(description="Of the last second.")
    worst: float = strawberry.field(description="Of the last minute.")


@strawberry.type(description="The process that has answered. Null: it is not known, or there is no limit.")
class SystemState:
    event_loop_lag_ms: EventLoopLag
    memory_bytes: Count | None = strawberry.field(description="Resident.")
    memory_limit_bytes: Count | None = strawberry.field(description="Of the control group, if it has one.")
    descriptors: Count | None = strawberry.field(description="Files and sockets that are open.")
    descriptors_limit: Count | None
    disk_free_bytes: Count | None = strawberry.field(description="Where the data directory is.")
    requests_in_flight: Count = strawberry.field(description="To models, in this process.")
    shedding: str | None = strawberry.field(
        description="Why the next request would be refused with `overloaded`; null: it would not be."
    )

    @classmethod
    def of(cls, report: Mapping[str, Any]) -> Self:
        return cls(**{**report, "event_loop_lag_ms": EventLoopLag(**report["event_loop_lag_ms"])})


@strawberry.type(description="How the process is.")
class Health:
    status: str = strawberry.field(
        description="`ok`, `degraded` (a provider or a store is not as it should be) or `draining`."
    )
    version: str
    uptime_s: float
    sandbox: bool = strawberry.field(description="Whether the providers are simulated.")
    config: ConfigState
    providers: list[Provider]
    stores: Json | None = strawberry.field(description="The stores, as `GET /health` has them.")
    system: SystemState | None
    worker: int | None = strawberry.field(description="Its number among several workers, from 1.")

    @classmethod
    def of(cls, report: Mapping[str, Any], providers: Sequence[ProviderSeen]) -> Self:
        """From what REST tells."""
        config = report["config"]
        return cls(
            status=report["status"],
            version=report["version"],
            uptime_s=report["uptime_s"],
            sandbox=report["sandbox"],
            config=ConfigState(
                generation=config["generation"], loaded_at=Moment(datetime.fromisoformat(config["loaded_at"]))
            ),
            providers=[Provider.of(seen) for seen in providers],
            stores=report.get("stores"),
            system=SystemState.of(report["system"]) if "system" in report else None,
            worker=report.get("worker"),
        )


def _moment(text: str | None) -> Moment | None:
    return None if text is None else Moment(datetime.fromisoformat(text))
