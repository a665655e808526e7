"""Stage: every exchange that enters the row is told to the listeners when it is over."""

from collections.abc import Awaitable

from llm_service.domain import Event, Outcome, Reply
from llm_service.observability import Listeners, RequestFinished, Said
from llm_service.pipeline.base import Exchange, Proceed, Watcher
from llm_service.pipeline.content import Spoken
from llm_service.runtime import Clock


class Observe:
    """Leaves the watcher that states the fact. ``content_max_bytes``: of prompts and answers, where they are told."""

    def __init__(self, listeners: Listeners, clock: Clock, *, content_max_bytes: int | None = None) -> None:
        self._listeners = listeners
        self._clock = clock
        self._content_max_bytes = content_max_bytes

    async def __call__(self, exchange: Exchange, proceed: Proceed) -> Reply:
        """Go on; the fact is stated when the exchange settles, however it ends."""
        if self._content_max_bytes is not None:
            return await self._listen(exchange, proceed, self._content_max_bytes)
        exchange.watchers.append(_Observer(exchange, self._listeners, self._clock))
        return await proceed(exchange)

    async def _listen(self, exchange: Exchange, proceed: Proceed, max_bytes: int) -> Reply:
        observer = _Listening(exchange, self._listeners, self._clock, Spoken(exchange.request, max_bytes=max_bytes))
        exchange.watchers.append(observer)
        observer.reply = reply = await proceed(exchange)
        return reply


class _Observer(Watcher):
    __slots__ = ("_clock", "_exchange", "_listeners")

    def __init__(self, exchange: Exchange, listeners: Listeners, clock: Clock) -> None:
        self._exchange = exchange
        self._listeners = listeners
        self._clock = clock

    def settle(self, outcome: Outcome) -> Awaitable[None] | None:
        self._listeners.request_finished(finished(self._exchange, outcome, self._clock.monotonic()))
        return None


class _Listening(_Observer):
    """One that tells the contents as well."""

    __slots__ = ("_heard", "_spoken", "looks", "reply")

    def __init__(self, exchange: Exchange, listeners: Listeners, clock: Clock, spoken: Spoken) -> None:
        super().__init__(exchange, listeners, clock)
        self.looks = exchange.request.stream
        self.reply: Reply | None = None
        self._spoken = spoken
        self._heard = False

    def see(self, event: Event) -> Event | None:
        self._heard = True
        self._spoken.hear(event)
        return event

    def settle(self, outcome: Outcome) -> Awaitable[None] | None:
        if not self._heard:
            self._spoken.hear_whole(self.reply)
        now = self._clock.monotonic()
        self._listeners.request_finished(finished(self._exchange, outcome, now, self._spoken.said()))
        return None


def finished(exchange: Exchange, outcome: Outcome, now: float, said: Said | None = None) -> RequestFinished:
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
        record=exchange.record,
        cache=exchange.cache,
        said=said,
    )
