"""Stage: every exchange that enters the row is told to the listeners when it is over."""

from collections.abc import Awaitable

from llm_service.domain import Event, Outcome, Reply
from llm_service.observability import Contents, Listeners, RequestFinished, Said, Spoken, Trace, Tracer
from llm_service.pipeline.base import Exchange, Passing, Proceed, Watcher
from llm_service.runtime import Clock


class Observe(Passing):
    """Leaves the watcher that states the fact."""

    def __init__(
        self,
        listeners: Listeners,
        clock: Clock,
        tracer: Tracer | None = None,
        *,
        contents: Contents | None = None,
        screens: bool = False,
    ) -> None:
        """``tracer``: decides which requests are recorded; without it none is. ``contents``: where prompts and answers
        are told. ``screens``: there are filters, and of prompts that they have not let pass nothing is told."""
        self._listeners = listeners
        self._clock = clock
        self._tracer = tracer
        self._contents = contents
        self._screens = screens

    def passes(self, exchange: Exchange, proceed: Proceed) -> Awaitable[Reply] | None:
        """Go on; the fact is stated when the exchange settles, however it ends."""
        if self._contents is not None:
            return self._listen(exchange, proceed, self._contents.of(exchange.request))
        exchange.watchers.append(_Observer(exchange, self._listeners, self._clock, self._tracer))
        return None

    async def _listen(self, exchange: Exchange, proceed: Proceed, spoken: Spoken) -> Reply:
        observer = _Listening(exchange, self._listeners, self._clock, self._tracer, spoken, screens=self._screens)
        exchange.watchers.append(observer)
        observer.reply = reply = await proceed(exchange)
        return reply


class _Observer(Watcher):
    __slots__ = ("_clock", "_exchange", "_listeners", "_tracer")

    def __init__(self, exchange: Exchange, listeners: Listeners, clock: Clock, tracer: Tracer | None) -> None:
        self._exchange = exchange
        self._listeners = listeners
        self._clock = clock
        self._tracer = tracer

    def settle(self, outcome: Outcome) -> Awaitable[None] | None:
        trace = None if self._tracer is None else self._tracer.recorded(self._exchange.trace)
        self._listeners.request_finished(finished(self._exchange, outcome, self._clock.monotonic(), trace))
        return None


class _Listening(_Observer):
    """One that tells the contents as well."""

    __slots__ = ("_heard", "_screens", "_spoken", "looks", "reply")

    def __init__(
        self,
        exchange: Exchange,
        listeners: Listeners,
        clock: Clock,
        tracer: Tracer | None,
        spoken: Spoken,
        *,
        screens: bool,
    ) -> None:
        super().__init__(exchange, listeners, clock, tracer)
        self.looks = exchange.request.stream
        self.reply: Reply | None = None
        self._spoken = spoken
        self._screens = screens
        self._heard = False

    def see(self, event: Event) -> Event | None:
        self._heard = True
        self._spoken.hear(event)
        return event

    def settle(self, outcome: Outcome) -> Awaitable[None] | None:
        if not self._heard:
            self._spoken.hear_whole(self.reply)
        now, exchange = self._clock.monotonic(), self._exchange
        said = self._spoken.said(
            outcome.finish_reason,
            sent=None if exchange.sent is exchange.request else exchange.sent,
            asks=exchange.is_screened or not self._screens,
            conceal=None if exchange.masks is None else exchange.masks.conceal,
        )
        trace = None if self._tracer is None else self._tracer.recorded(exchange.trace)
        self._listeners.request_finished(finished(exchange, outcome, now, trace, said=said))
        return None


def finished(
    exchange: Exchange,
    outcome: Outcome,
    now: float,
    trace: Trace | None = None,
    *,
    said: Said | None = None,
) -> RequestFinished:
    """The fact of an exchange that ends now (monotonic seconds); ``trace``: where it is recorded."""
    candidate = exchange.candidate if exchange.order else None
    record, held, request, tries = exchange.record, exchange.admitted.held, exchange.request, exchange.tries
    received_at, head_at = exchange.received_at, exchange.head_at
    return RequestFinished(  # in the order of the fields: by their names it costs twice as much
        exchange.id,  # request_id
        exchange.stream_id if request.stream else None,  # stream_id
        exchange.surface,
        exchange.caller.key_id,
        request.model,
        candidate.provider if candidate else None,  # provider
        candidate.upstream_model if candidate else None,  # upstream_model
        request.stream,
        None if head_at is None else (head_at - received_at) * 1000,  # first_content_ms
        (now - received_at) * 1000,  # duration_ms
        outcome,
        len(tries),  # attempts
        exchange.cache,
        record,
        exchange.saved_nano_usd if record is None else record.saved_nano_usd,
        tries,
        None if held is None else held.lease,
        received_at,
        exchange.marks,
        head_at,
        exchange.queue_s,
        None if trace is None else trace.trace_id,
        trace,
        exchange.sent,
        said,
        exchange.verdicts,
    )
