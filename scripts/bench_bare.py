"""Serves like `llm-service`, but asks the one deployment straight: no shedding, ranking, breaker, bulkhead or budget.

What routing and breakers cost on the wire is the difference between this and the service as it is, measured in
alternation by one load generator. For measurements alone: nothing stands in when a provider fails.

PYTHONPATH=src python scripts/bench_bare.py serve --config FILE --port 9200
"""

from collections.abc import Awaitable
from typing import Any

from llm_service.bootstrap import service
from llm_service.cli import main
from llm_service.domain import Reply
from llm_service.pipeline import CallParts, Exchange, Proceed
from llm_service.pipeline.base import Try
from llm_service.providers import UpstreamCall


class Straight:
    """In the place of a stage that is left out."""

    def __init__(self, *_: Any) -> None:
        """Whatever the stage is given."""

    def __call__(self, exchange: Exchange, proceed: Proceed) -> Awaitable[Reply]:
        return proceed(exchange)


class BareCall:
    """Asks the first deployment and leaves what the record needs: the attempt and the place."""

    def __init__(self, parts: CallParts) -> None:
        self._providers = parts.providers
        self._now = parts.clock.monotonic

    async def __call__(self, exchange: Exchange) -> Reply:
        now = self._now()
        exchange.marks.append(now)
        exchange.place = 0
        candidate = exchange.route.candidates[0]
        exchange.tries.append(Try(candidate, now))
        reply = await self._providers[candidate.provider].chat(
            UpstreamCall(
                request=exchange.request,
                candidate=candidate,
                deadline_s=None if exchange.deadline is None else exchange.deadline - now,
                spent_s=0.0,
                request_id=exchange.id,
                output_cap=exchange.admitted.cap,
            )
        )
        exchange.head_at = exchange.tries[0].ended_at = self._now()
        return reply


if __name__ == "__main__":
    service.Shed = Straight  # type: ignore[assignment,misc]
    service.Rank = Straight  # type: ignore[assignment,misc]
    service.Call = BareCall  # type: ignore[assignment,misc]
    main()
