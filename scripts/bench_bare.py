"""Serves like `llm-service`, but for one part: what it costs on the wire is the difference to the service as it is.

Both are to be measured in alternation by one load generator. For measurements alone.

PYTHONPATH=src python scripts/bench_bare.py routing serve --config FILE --port 9200    asks the one deployment straight:
                                            no shedding, ranking, breaker, bulkhead or budget
PYTHONPATH=src python scripts/bench_bare.py telling serve --config FILE --port 9200    nobody hears how requests ended:
                                            no metrics, spans, log lines or events of them
"""

import sys
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

    def __init__(self, *_: Any, **__: Any) -> None:
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


def bare_of(part: str) -> None:
    """Leave a part out. Raises KeyError for one that is not known."""
    parts: dict[str, dict[str, Any]] = {
        "routing": {"Shed": Straight, "Rank": Straight, "Call": BareCall},
        "telling": {"Observe": Straight},
    }
    for name, stand_in in parts[part].items():
        setattr(service, name, stand_in)


if __name__ == "__main__":
    bare_of(sys.argv.pop(1))
    main()
