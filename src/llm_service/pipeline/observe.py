"""Stage: every exchange that enters the row is told to the listeners when it is over."""

from collections.abc import Awaitable

from llm_service.domain import Outcome, Reply
from llm_service.observability import Listeners, RequestFinished
from llm_service.pipeline.base import Exchange, Proceed, Watcher
from llm_service.runtime import Clock


class Observe:
    """Leaves the watcher that states the fact."""

    def __init__(self, listeners: Listeners, clock: Clock) -> None:
        self._listeners = listeners
        self._clock = clock

    async def __call__(self, exchange: Exchange, proceed: Proceed) -> Reply:
        """Go on; the fact is stated when the exchange settles, however it ends."""
        exchange.watchers.append(_Observer(exchange, self._listeners, self._clock))
        return await proceed(exchange)


class _Observer(Watcher):
    __slots__ = ("_clock", "_exchange", "_listeners")

    def __init__(self, exchange: Exchange, listeners: Listeners, clock: Clock) -> None:
        self._exchange = exchange
        self._listeners = listeners
        self._clock = clock

    def settle(self, outcome: Outcome) -> Awaitable[None] | None:
        self._listeners.request_finished(finished(self._exchange, outcome, self._clock.monotonic()))
        return None


def finished(exchange: Exchange, outcome: Outcome, now: float) -> RequestFinished:
    """The fact of an exchange that ends now (monotonic seconds)."""
    candidate = exchange.candidate if exchange.order else None
    return RequestFinished(
        request_id=exchange.id,
        stream_id=exchange.stream_id if exchange.request.stream else None,
        surface=exchange.surface,
        key_id=exchange.caller.key_id,
        model=exchange.request.model,
        provider=candidate.provider if candidate else None,
        upstream_model=candidate.upstream_model if candidate else None,
        stream=exchange.request.stream,
        first_content_ms=None if exchange.head_at is None else (exchange.head_at - exchange.received_at) * 1000,
        duration_ms=(now - exchange.received_at) * 1000,
        outcome=outcome,
        attempts=len(exchange.tries),
    )
